"""The local socket as `flip-agent run` offers it, for tests of `serve`: hears all, says what a test has it say."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import TypeVar

import msgspec

from flip_agent.local.messages import Committed, Emit, FromRun, Hello, ToRun

T = TypeVar("T", bound=ToRun)

_WITHIN = 20.0


class FakeRun:
    def __init__(self) -> None:
        self.heard: list[ToRun] = []
        self._changed = asyncio.Condition()
        self._writer: asyncio.StreamWriter | None = None

    @contextlib.asynccontextmanager
    async def listening(self, socket: Path) -> AsyncGenerator["FakeRun"]:
        socket.parent.mkdir(parents=True, exist_ok=True)
        server = await asyncio.start_unix_server(self._converse, socket)
        try:
            yield self
        finally:
            server.close()
            if self._writer is not None:
                self._writer.close()
            await server.wait_closed()
            socket.unlink(missing_ok=True)

    async def say(self, message: FromRun) -> None:
        await self.hears(Hello)
        assert self._writer is not None
        self._writer.write(msgspec.json.encode(message) + b"\n")
        await self._writer.drain()

    async def hears(self, kind: type[T], count: int = 1) -> T:
        """The newest message of that kind, once there are `count` of them; fails after 20 s."""

        def heard() -> list[T]:
            return [message for message in self.heard if isinstance(message, kind)]

        async with asyncio.timeout(_WITHIN), self._changed:
            await self._changed.wait_for(lambda: len(heard()) >= count)
        return heard()[-1]

    def count(self, kind: type[ToRun]) -> int:
        return sum(isinstance(message, kind) for message in self.heard)

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writer = writer
        decoder: msgspec.json.Decoder[ToRun] = msgspec.json.Decoder(ToRun)
        while line := await reader.readline():
            message = decoder.decode(line)
            if isinstance(message, Emit):
                await self.say(Committed(id=message.id))
            async with self._changed:
                self.heard.append(message)
                self._changed.notify_all()
        writer.close()
