"""Gathers a reply as the worker makes it; what is too large for memory goes to the disk early."""

from flip_agent.federation.flower import Item
from flip_agent.federation.room import when_there_is_room
from flip_agent.federation.session_store import SessionStore

REPLY = "a finished reply"
"""What there must be room for."""
_MOST = 16 * 2**20


class ReplyObjects:
    def __init__(self, store: SessionStore, message_id: str) -> None:
        self.waiting: list[Item] = []
        self._bytes = 0
        self._store = store
        self._message_id = message_id

    async def keep(self, item: Item) -> None:
        self.waiting.append(item)
        self._bytes += len(item.content)
        if self._bytes > _MOST:
            waiting = self.waiting
            await when_there_is_room(REPLY, lambda: self._store.objects.keep_of_reply(self._message_id, waiting))
            self.waiting, self._bytes = [], 0
