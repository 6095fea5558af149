"""Stands before the SuperLink, the bottleneck of every fleet: what need not reach it does not.

An idle device's pulls cost it nothing: there is nothing for a node that nobody has written to (`news`), and a pull may
wait here until somebody does. The run, the app and the objects of a round are fetched once for all devices (`cache`);
an object is given only to a device that was sent a message made of it (`given`). As long as the news come, and for
nodes that the SuperLink has called the caller's; otherwise every call goes to it.
"""

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from http import HTTPStatus
from pathlib import Path
from typing import Protocol

from flwr.proto.fab_pb2 import GetFabRequest, GetFabResponse
from flwr.proto.fleet_pb2 import PullMessagesRequest, PullMessagesResponse
from flwr.proto.message_pb2 import ConfirmMessageReceivedRequest, PullObjectRequest, PullObjectResponse
from flwr.proto.run_pb2 import GetRunRequest
from msgspec.structs import replace

from flip_hub.federation.answer_cache import SAYS_NOTHING, AnswerCache, Fetch
from flip_hub.federation.fast_lane import LANE
from flip_hub.federation.fleet_call import PREFIX, Call, decoding
from flip_hub.federation.given import Given
from flip_hub.federation.mailboxes import Mailboxes
from flip_hub.federation.news import SuperlinkNews
from flip_hub.federation.node_auth import Caller
from flip_hub.federation.upstream import Answer, Streamed, Upstream
from flip_wire.fleet import DeviceId

_SLOW_LOOK = 10.0
"""Seconds between the looks of a waiting pull while there are no news."""
_FRESH = 30.0
"""Seconds that a run and an app are good for: who signs an app while it runs is heard."""
_OBJECT_LOOKS = (0.02, 0.05, 0.1, 0.2, 0.4, 0.8, 1.6)
"""Seconds after which an object is looked for again that the ServerApp is still sending."""


class Apps(Protocol):
    """What is needed of the apps."""

    async def verifications(self, fab_hash: str) -> dict[str, str]: ...


class Shield:
    def __init__(self, upstream: Upstream, apps: Apps, mailboxes: Mailboxes, folder: Path) -> None:
        self._upstream = upstream
        self._apps = apps
        self._mailboxes = mailboxes
        self._given = Given()
        self.cache = AnswerCache(folder)
        self._nodes: dict[str, int] = {}
        """By the fingerprint of the key that, the SuperLink says, they belong to."""
        self._group: asyncio.TaskGroup | None = None
        self._stopping = False
        self.news = SuperlinkNews(upstream, mailboxes, self._forget_all)

    async def run(self) -> None:
        """Until it is cancelled; before and after, every call goes to the SuperLink."""
        self._stopping = False
        try:
            async with asyncio.TaskGroup() as group:
                self._group = group
                await self.news.follow()
        finally:
            self._group = None

    def stop(self) -> None:
        """Ends the waiting pulls."""
        self._stopping = True
        self._mailboxes.wake_all()

    def belongs(self, caller: Caller, node_id: int) -> None:
        """The SuperLink has taken a call of this key for that node."""
        self._nodes[caller.fingerprint] = node_id

    def joined(self, caller: Caller, device_id: DeviceId, node_id: int) -> None:
        self._given.joined(device_id)
        self.belongs(caller, node_id)

    def left(self, caller: Caller) -> None:
        self._nodes.pop(caller.fingerprint, None)

    # ---- messages -----------------------------------------------------------------------------------------------

    async def pull(self, call: Call, caller: Caller, device_id: DeviceId) -> None:
        body = await call.whole_body()
        with decoding():
            node_id = PullMessagesRequest.FromString(body).node.node_id
        deadline = time.monotonic() + call.wait()
        with self._mailboxes.listen(str(node_id)) as written:
            while True:
                written.clear()
                answer = await self._look(call, caller, device_id, node_id, body)
                left = deadline - time.monotonic()
                if left <= 0 or self._stopping or not _is_empty(answer):
                    break
                await call.until(written, left if self.news.known else min(left, _SLOW_LOOK))
        await call.give(answer)

    async def _look(self, call: Call, caller: Caller, device_id: DeviceId, node_id: int, body: bytes) -> Answer:
        again = self._given.once_more(device_id)
        if again is not None:
            return again
        if self.news.has_nothing(str(node_id)) and self._is_his(caller, node_id):
            return _NOTHING
        with self.news.looking(str(node_id)) as found_nothing:
            answer = await self._ask(call, body)
            if answer.status != HTTPStatus.OK:
                return answer
            self.belongs(caller, node_id)
            pulled = PullMessagesResponse.FromString(answer.body)
            if pulled.messages_list:
                self._given.note(device_id, answer, pulled)
            else:
                found_nothing()
        return answer

    async def confirm(self, call: Call, device_id: DeviceId) -> None:
        """The SuperLink gives the memory back; what its ServerApp is still sending, a little later."""
        body = await call.whole_body()
        with decoding():
            message_id = ConfirmMessageReceivedRequest.FromString(body).message_object_id
        answer = await self._ask(call, body)
        for delay in _OBJECT_LOOKS:
            if answer.status != HTTPStatus.TOO_EARLY:
                break
            await asyncio.sleep(delay)
            answer = await self._ask(call, body)
        if answer.status == HTTPStatus.OK:
            self._given.confirmed(device_id, message_id)
        await call.give(answer)

    # ---- what is the same for all -------------------------------------------------------------------------------

    async def get_run(self, call: Call, caller: Caller) -> None:
        body = await call.whole_body()
        with decoding():
            request = GetRunRequest.FromString(body)
        key = ("run", str(request.run_id))
        await self._give(call, caller, request, key, lambda: self._upstream_answer(call, body))

    async def get_fab(self, call: Call, caller: Caller) -> None:
        body = await call.whole_body()
        with decoding():
            request = GetFabRequest.FromString(body)
        key = ("fab", str(request.run_id), request.hash_str)
        await self._give(call, caller, request, key, lambda: self._signed_app(call, body))

    async def pull_object(self, call: Call, caller: Caller, device_id: DeviceId) -> None:
        body = await call.whole_body()
        with decoding():
            request = PullObjectRequest.FromString(body)
        if self._given.is_part(device_id, request.object_id):
            key = ("object", str(request.run_id), request.object_id)
            await self._give(call, caller, request, key, lambda: self._object(call, body), good_for=float("inf"))
        elif self._given.is_message(device_id, request.object_id):
            await _pass(call, lambda: self._object(call, body))
        else:
            await call.give(protobuf(PullObjectResponse(object_found=False).SerializeToString()))

    async def _give(
        self,
        call: Call,
        caller: Caller,
        request: GetRunRequest | GetFabRequest | PullObjectRequest,
        key: tuple[str, ...],
        fetch: Fetch,
        good_for: float = _FRESH,
    ) -> None:
        stored = None
        if self._group and self.news.runs(str(request.run_id)) and self._is_his(caller, request.node.node_id):
            stored = self.cache.get(self._group, key, fetch, good_for)
        if stored is None:
            await _pass(call, fetch)
        else:
            await stored.begun()
            await call.stream(stored.status, stored.headers, stored.chunks())

    @asynccontextmanager
    async def _upstream_answer(self, call: Call, body: bytes) -> AsyncGenerator[Streamed]:
        answer = await self._ask(call, body)
        yield Streamed(status=answer.status, headers=answer.headers, chunks=_one(answer.body))

    @asynccontextmanager
    async def _signed_app(self, call: Call, body: bytes) -> AsyncGenerator[Streamed]:
        """With its signatures, which Flower 1.41 does not take along when an app is uploaded."""
        answer = await self._ask(call, body)
        if answer.status == HTTPStatus.OK:
            message = GetFabResponse.FromString(answer.body)
            message.fab.verifications.update(await self._apps.verifications(message.fab.hash_str))
            signed = message.SerializeToString()
            sized = answer.headers | {b"content-length": str(len(signed)).encode()}
            answer = replace(answer, headers=sized, body=signed)
        yield Streamed(status=answer.status, headers=answer.headers, chunks=_one(answer.body))

    @asynccontextmanager
    async def _object(self, call: Call, body: bytes) -> AsyncGenerator[Streamed]:
        """Looks again for one that the ServerApp is still sending, which devices would do much more often."""
        for delay in (*_OBJECT_LOOKS, None):
            sized = call.headers | {b"content-length": str(len(body)).encode()}
            async with self._upstream.stream(lane(call), sized, _one(body)) as answer:
                if delay is None or answer.status != HTTPStatus.OK or not _is_short(answer):
                    yield answer
                    return
                content = b"".join([chunk async for chunk in answer.chunks])
            if not PullObjectResponse.FromString(content).object_found:
                yield Streamed(status=answer.status, headers=answer.headers, chunks=_one(content))
                return
            await asyncio.sleep(delay)

    async def _ask(self, call: Call, body: bytes) -> Answer:
        return await self._upstream.ask(lane(call), call.headers, body)

    def _is_his(self, caller: Caller, node_id: int) -> bool:
        return self._nodes.get(caller.fingerprint) == node_id

    def _forget_all(self) -> None:
        self._nodes.clear()
        self._given.clear()
        self.cache.clear()


def lane(call: Call) -> str:
    """The SuperLink's path for it."""
    return LANE + call.path.removeprefix(PREFIX)


def protobuf(body: bytes) -> Answer:
    headers = {b"content-type": b"application/protobuf", b"content-length": str(len(body)).encode()}
    return Answer(status=HTTPStatus.OK, headers=headers, body=body)


_NOTHING = protobuf(PullMessagesResponse().SerializeToString())


def _is_empty(answer: Answer) -> bool:
    return answer.status == HTTPStatus.OK and not answer.body


def _is_short(answer: Streamed) -> bool:
    """Without content."""
    return int(answer.headers.get(b"content-length", SAYS_NOTHING)) < SAYS_NOTHING


async def _pass(call: Call, fetch: Fetch) -> None:
    async with fetch() as answer:
        await call.stream(answer.status, answer.headers, answer.chunks)


async def _one(body: bytes) -> AsyncIterator[bytes]:
    yield body
