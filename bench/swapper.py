"""In the place of `flip-agent run`: has `serve` swap versions, and knows at any time which of them may answer.

Each swap is to a version that `serve` does not have loaded, so that it verifies, builds and probes it anew.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TypeVar

import msgspec

from bench.servers import MODEL
from flip_agent.local.messages import LINE_LIMIT, Activate, Committed, Emit, FromRun, Prepare, Prepared, Serving, ToRun
from flip_runtime.errors import Unavailable
from flip_wire.models import Sha256

T = TypeVar("T", bound=Prepared | Serving)

_WITHIN = 30.0
"""Seconds for an answer of `serve`."""


class Swapper:
    def __init__(self, manifests: Mapping[int, Sha256]) -> None:
        """By their versions; the first is active, and at least three make a circle of which two are loaded."""
        self._manifests = manifests
        self._versions = list(manifests)
        self._heard: asyncio.Queue[Prepared | Serving] = asyncio.Queue(64)
        self._writer: asyncio.StreamWriter | None = None
        self.begun = 0
        """Swaps that `serve` was told to make."""
        self.done = 0
        """Swaps that it says it has made."""

    def version(self, swap: int) -> int:
        """The one that answers after so many swaps."""
        return self._versions[swap % len(self._versions)]

    @asynccontextmanager
    async def listening(self, socket: Path) -> AsyncGenerator[None]:
        socket.parent.mkdir(parents=True, exist_ok=True)
        server = await asyncio.start_unix_server(self._converse, socket, limit=LINE_LIMIT)
        try:
            yield
        finally:
            server.close()
            if self._writer is not None:
                self._writer.close()
            await server.wait_closed()

    async def connected(self) -> None:
        await self._hears(Serving, lambda serving: serving.version == self.version(self.done))

    async def swap(self) -> None:
        """Returns when `serve` has said that the next version answers. Raises `Unavailable` when it does not."""
        version = self.version(self.done + 1)
        await self._say(Prepare(model=MODEL, version=version, manifest=self._manifests[version]))
        prepared = await self._hears(Prepared, lambda prepared: prepared.version == version)
        if prepared.reason:
            raise Unavailable(f"version {version} is refused: {prepared.reason}")
        self.begun += 1
        await self._say(Activate(model=MODEL, version=version))
        await self._hears(Serving, lambda serving: serving.version == version)
        self.done += 1

    async def _hears(self, kind: type[T], wanted: Callable[[T], bool]) -> T:
        async with asyncio.timeout(_WITHIN):
            while True:
                message = await self._heard.get()
                if isinstance(message, kind) and wanted(message):
                    return message

    async def _say(self, message: FromRun) -> None:
        if self._writer is None:
            raise Unavailable("flip-agent serve is not connected")
        self._writer.write(msgspec.json.encode(message) + b"\n")
        await self._writer.drain()

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writer = writer
        decoder: msgspec.json.Decoder[ToRun] = msgspec.json.Decoder(ToRun)
        while line := await reader.readline():
            match decoder.decode(line):
                case Emit(id=number):
                    await self._say(Committed(id=number))
                case Prepared() | Serving() as message:
                    await self._heard.put(message)
                case _:
                    pass  # health and figures, which nobody here asks for
