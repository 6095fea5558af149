"""What devices ask the Fleet gateway beside Flower's own calls: `/v1/flip/`, signed in the same way."""

from http import HTTPStatus
from urllib.parse import parse_qs

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from flip_hub.contributions.late import OBJECT_LIMIT, Late
from flip_hub.contributions.receipts import Receipts
from flip_hub.devices.schemas import Device
from flip_hub.federation.fleet_call import Call
from flip_hub.federation.flower_tree import objects_of
from flip_hub.federation.mailboxes import Mailboxes
from flip_hub.federation.upstream import Answer
from flip_hub.problem import NotFound, Unprocessable
from flip_wire.contributions import Fate, LateReply

REFUSED_SINCE = 4
"""The version of the wire from which on devices know that a reply was refused."""
LARGEST_LATE = 4 * 2**20
"""Bytes of a reply without its objects: it names each by its hash, in two places."""


class ContributionCalls:
    def __init__(self, receipts: Receipts, late: Late, mailboxes: Mailboxes) -> None:
        self._receipts = receipts
        self._late = late
        self._mailboxes = mailboxes

    async def answer(self, call: Call, device: Device) -> None:
        match call.verb, call.path.split("/")[3:]:
            case "GET", ["receipts", message_id]:
                await self._receipt(call, device, message_id)
            case "POST", ["late"]:
                await self._announce(call, device)
            case "PUT", ["objects", sha256]:
                await self._late.put(device.id, sha256, call.body(OBJECT_LIMIT))
                await call.give(Answer(status=HTTPStatus.NO_CONTENT, headers={}, body=b""))
            case _:
                raise NotFound("the Fleet gateway has no such call")

    async def _receipt(self, call: Call, device: Device, message_id: str) -> None:
        await call.whole_body()
        run_id = parse_qs(call.query).get("run", [""])[0]
        with self._mailboxes.listen(message_id, run_id) as settled:
            receipt = await self._receipts.receipt(device.id, message_id, run_id)
            if receipt.fate is Fate.PENDING and (wait := call.wait()) > 0:
                await call.until(settled, wait)
                receipt = await self._receipts.receipt(device.id, message_id, run_id)
        if receipt.fate is Fate.REFUSED and device.wire_version < REFUSED_SINCE:
            receipt = replace(receipt, fate=Fate.ACCEPTED)  # it knows no other way to forget a reply
        await call.give(_json(receipt))

    async def _announce(self, call: Call, device: Device) -> None:
        body = await call.whole_body(LARGEST_LATE)
        try:
            late = msgspec.json.decode(body, type=LateReply)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise Unprocessable(f"the body is no LateReply: {error}") from error
        await call.give(_json(await self._late.announce(device.id, late, objects_of(late.tree))))


def _json(value: Struct) -> Answer:
    content = msgspec.json.encode(value)
    headers = {b"content-type": b"application/json", b"content-length": str(len(content)).encode()}
    return Answer(status=HTTPStatus.OK, headers=headers, body=content)
