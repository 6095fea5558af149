"""The writing side of a connection: who does not read what was written holds up nobody, and not for ever."""

import asyncio
from typing import Any

_LEAST = 2**16
"""Bytes that a client takes between two looks, while there are so many for it."""


class Outlet:
    def __init__(self, transport: Any, loop: asyncio.AbstractEventLoop) -> None:
        self._transport = transport
        self._loop = loop
        self._written = 0
        self._taken = self._left = 0
        """Bytes, at the last look."""
        self._room: asyncio.Future[None] | None = None

    @property
    def congested(self) -> bool:
        """What was written waits for the client."""
        return self._room is not None

    def write(self, content: bytes) -> None:
        self._written += len(content)
        self._transport.write(content)

    def pause(self) -> None:
        self._room = self._loop.create_future()

    def resume(self) -> None:
        if self._room is not None:
            self._room.set_result(None)
            self._room = None

    async def writable(self) -> None:
        if self._room is not None:
            await self._room

    def is_stuck(self) -> bool:
        """To be asked now and then: whether there was something for the client all the time since the last look, and it
        has taken next to nothing."""
        taken, left = self._taken, self._left
        self._left = self._transport.get_write_buffer_size()
        self._taken = self._written - self._left
        return left > 0 and self._left > 0 and self._taken - taken < _LEAST
