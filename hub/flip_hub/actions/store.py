"""Actions and their results, in MongoDB. A result is final; that time was over is not: the device may have begun in
time, and be heard late."""

from collections.abc import Sequence
from datetime import UTC, datetime

import msgspec
from pymongo import DESCENDING, ReturnDocument

from flip_hub.actions.schemas import OPEN, ActionState, DeviceAction
from flip_hub.api.pages import Order, Page, Wanted
from flip_hub.mongo import Database, Document
from flip_wire.actions import ActionId, ActionResult
from flip_wire.fleet import DeviceId

_NEWEST_FIRST = Order(("asked_at", DESCENDING), ("_id", DESCENDING))
_NOT_ENDED = {"$in": [*OPEN, ActionState.EXPIRED]}
_NO_LOG = {"log": 0}


class ActionStore:
    """Collection `actions`."""

    def __init__(self, database: Database) -> None:
        self._actions = database["actions"]

    async def add(self, action: DeviceAction) -> None:
        asked = datetime.fromtimestamp(action.asked_at, UTC)
        await self._actions.insert_one({"_id": action.id, **msgspec.to_builtins(action), "asked": asked})

    async def page(self, device_id: DeviceId, wanted: Wanted) -> Page[DeviceAction]:
        return await _NEWEST_FIRST.read(self._actions, {"device": device_id}, wanted, _convert)

    async def get(self, device_id: DeviceId, action_id: ActionId) -> DeviceAction | None:
        return _found(await self._actions.find_one({"_id": action_id, "device": device_id}, _NO_LOG))

    async def log(self, device_id: DeviceId, action_id: ActionId) -> bytes | None:
        """Compressed."""
        found = await self._actions.find_one({"_id": action_id, "device": device_id}, {"log": 1})
        return None if found is None else found.get("log")

    async def deliver(self, action_ids: Sequence[ActionId], now: float) -> bool:
        """Whether any of them was queued."""
        queued = {"_id": {"$in": [*action_ids]}, "state": ActionState.QUEUED}
        change = {"$set": {"state": ActionState.DELIVERED, "delivered_at": now}}
        return bool((await self._actions.update_many(queued, change)).modified_count)

    async def end(self, device_id: DeviceId, result: ActionResult, state: ActionState, now: float) -> bool:
        """Whether it was not known before."""
        values: Document = {
            "state": state,
            "ended_at": result.at or now,
            "exit_status": result.exit_status,
            "text": result.text,
            "log_size": len(result.log),
        }
        if result.log:
            values["log"] = result.log
        open_one = {"_id": result.id, "device": device_id, "state": _NOT_ENDED}
        return bool((await self._actions.update_one(open_one, {"$set": values})).modified_count)

    async def expire(self, action: DeviceAction, text: str, now: float) -> DeviceAction | None:
        """None when it has ended meanwhile, or got further."""
        change = {"$set": {"state": ActionState.EXPIRED, "ended_at": now, "text": text}}
        known = {"_id": action.id, "state": action.state}
        after = ReturnDocument.AFTER
        return _found(await self._actions.find_one_and_update(known, change, projection=_NO_LOG, return_document=after))

    async def over(self, queued_before: float, delivered_before: float) -> list[DeviceAction]:
        """Those whose time is over, by the state they are in."""
        over = [
            {"state": ActionState.QUEUED, "expires_at": {"$lt": queued_before}},
            {"state": ActionState.DELIVERED, "expires_at": {"$lt": delivered_before}},
        ]
        return [_convert(document) async for document in self._actions.find({"$or": over}, _NO_LOG).limit(1000)]


def _found(document: Document | None) -> DeviceAction | None:
    return None if document is None else _convert(document)


def _convert(document: Document) -> DeviceAction:
    return msgspec.convert(document, DeviceAction)
