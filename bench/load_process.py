"""A process of its own that makes a bench's load: what it shall do goes in as JSON, what it says comes out in lines.

So its CPU time is not the bench's, nor the hub's.
"""

import asyncio
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Self, TypeVar

import msgspec
from msgspec import Struct

from flip_runtime.child import ends_with_parent
from flip_runtime.errors import Unavailable

T = TypeVar("T")

_ROOT = Path(__file__).parents[1]
_LONGEST_LINE = 2**24


class LoadProcess:
    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    @classmethod
    async def started(cls, module: str, settings: Struct) -> Self:
        """`python -m MODULE`, with the settings on its standard input."""
        process = await asyncio.create_subprocess_exec(
            *(*ends_with_parent(), sys.executable, "-m", module),
            cwd=_ROOT,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            limit=_LONGEST_LINE,
        )
        assert process.stdin is not None
        process.stdin.write(msgspec.json.encode(settings))
        await process.stdin.drain()
        process.stdin.close()
        return cls(process)

    async def line(self) -> bytes:
        """The next. Raises `Unavailable` when it has ended."""
        assert self._process.stdout is not None
        line = await self._process.stdout.readline()
        if not line:
            raise Unavailable("the load's process has ended", hint="its complaints are above")
        return line

    async def told(self, kind: type[T]) -> T:
        """The next line, which is one of these as JSON."""
        return msgspec.json.decode(await self.line(), type=kind)

    def terminate(self) -> None:
        self._process.terminate()

    async def wait(self) -> None:
        await self._process.wait()

    async def end(self) -> None:
        """At once, if it still runs."""
        if self._process.returncode is None:
            self._process.kill()
        await self._process.wait()


@asynccontextmanager
async def loading(module: str, settings: Struct) -> AsyncGenerator[LoadProcess]:
    """From when it has said its first line."""
    load = await LoadProcess.started(module, settings)
    try:
        await load.line()
        yield load
    finally:
        await load.end()
