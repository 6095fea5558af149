"""How a reply that lies here whole comes to the hub: pushed into its round, or given as a late contribution.

An upload goes on where it was cut: what the hub has stored is noted here, and it names what it lacks. On its way at any
time is at most what the link takes in a second, or one object: more would be lost with each cut.
"""

import asyncio
from asyncio import to_thread
from collections.abc import Callable, Sequence

from flip_agent.federation.at_once import AT_ONCE, all_at_once
from flip_agent.federation.contribution_client import ContributionClient
from flip_agent.federation.fleet_client import FleetClient
from flip_agent.federation.flower import Item, Reply
from flip_agent.federation.session_store import Message, SessionStore
from flip_runtime.errors import Unavailable
from flip_wire.contributions import Receipt

_ANNOUNCEMENTS = 3
"""In one try: an upload session of Flower's may end meanwhile."""
_AHEAD = 1.0
"""Seconds of the link's rate that may be on their way."""


class Delivery:
    def __init__(self, store: SessionStore, fleet: FleetClient, contributions: ContributionClient) -> None:
        self._store = store
        self._fleet = fleet
        self._contributions = contributions

    async def push(self, message: Message, reply: Reply) -> None:
        """Returns when the SuperLink lacks nothing. Raises `Unavailable`, `Rejected` or `Corrupt`."""
        instruction, earlier = message.instruction, ""
        for _ in range(_ANNOUNCEMENTS):
            upload, wanted = await to_thread(self._fleet.push, instruction, reply, message.seconds)
            if not wanted or upload == earlier:
                return
            earlier = upload
            if await self._upload(message, upload, wanted):
                return
        raise Unavailable("the upload sessions end too soon", hint="the reply is announced again")

    async def receipt(self, message: Message) -> Receipt:
        return await to_thread(self._contributions.receipt, message.instruction)

    async def hand_over(self, message: Message, reply: Reply) -> None:
        """Returns when the hub keeps it. Raises as `push`."""
        instruction, announce = message.instruction, self._contributions.announce
        size = await to_thread(self._store.objects.reply_size, instruction.message_id)
        while wanted := await to_thread(announce, instruction, reply, size, message.seconds, message.late):
            await self._each(instruction.message_id, wanted, self._contributions.put)

    async def _upload(self, message: Message, upload: str, wanted: Sequence[str]) -> bool:
        """Whether the hub took all of it. Of an object that it refuses nothing is known: it was stored before, and only
        the answer was lost, or the upload session has ended."""
        message_id = message.instruction.message_id
        known = await to_thread(self._store.objects.uploaded, message_id, upload)
        refused: list[str] = []

        def send(item: Item) -> None:
            if self._fleet.push_object(message.instruction, upload, item):
                self._store.objects.keep_uploaded(message_id, upload, [item.object_id])
            else:
                refused.append(item.object_id)

        await self._each(message_id, [object_id for object_id in wanted if object_id not in known], send)
        return not refused

    async def _each(self, message_id: str, object_ids: Sequence[str], send: Callable[[Item], None]) -> None:
        waiting: list[Item] = []
        allowed = 0.0
        for object_id in object_ids:
            item = await to_thread(self._store.objects.in_reply, message_id, object_id)
            if waiting and (len(waiting) == AT_ONCE or _size(waiting) + len(item.content) > allowed):
                allowed = _AHEAD * await _rate(send, waiting)
                waiting = []
            waiting.append(item)
        if waiting:
            await _rate(send, waiting)


async def _rate(send: Callable[[Item], None], items: Sequence[Item]) -> float:
    """Sends them at the same time; how many bytes a second went."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    await all_at_once([to_thread(send, item) for item in items])
    return _size(items) / max(loop.time() - began, 1e-3)


def _size(items: Sequence[Item]) -> int:
    return sum(len(item.content) for item in items)
