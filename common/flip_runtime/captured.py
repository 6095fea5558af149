"""What a short-lived program prints, bounded in time and size; it never outlives who asked."""

import asyncio
import contextlib
from collections.abc import Sequence

from msgspec import Struct

from flip_runtime.errors import Unavailable

_CHUNK = 2**16
_MOST_COMPLAINT = 4096
"""Bytes of the last it said on stderr."""


class Captured(Struct, frozen=True, kw_only=True):
    status: int
    out: bytes
    complaint: str
    """Its last line on stderr."""


async def captured(command: Sequence[str], *, within: float, most: int, given: bytes = b"") -> Captured:
    """`within` seconds and `most` bytes; `given` is what it reads. Raises `Unavailable` when it cannot be started,
    takes longer, or says more."""
    try:
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.PIPE if given else asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
    except OSError as error:
        raise Unavailable(f"cannot start {command[0]}: {error.strerror}") from error
    assert process.stdout is not None
    assert process.stderr is not None
    try:
        async with asyncio.timeout(within), asyncio.TaskGroup() as group:
            complaints = group.create_task(_last(process.stderr))
            if process.stdin is not None:
                group.create_task(_give(process.stdin, given))
            out = await _bounded(process.stdout, most)
            if out is None:
                process.kill()
            status = await process.wait()
    except TimeoutError as error:
        raise Unavailable(f"{command[0]} takes longer than {within:g} s") from error
    finally:
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()
    if out is None:
        raise Unavailable(f"{command[0]} says more than {most} bytes")
    lines = complaints.result().decode(errors="replace").strip().splitlines()
    return Captured(status=status, out=out, complaint=lines[-1] if lines else "no reason given")


async def _give(stream: asyncio.StreamWriter, content: bytes) -> None:
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # it ended without reading all of it
        stream.write(content)
        await stream.drain()
        stream.close()


async def _bounded(stream: asyncio.StreamReader, most: int) -> bytes | None:
    """None when there is more."""
    content = bytearray()
    while chunk := await stream.read(_CHUNK):
        content += chunk
        if len(content) > most:
            return None
    return bytes(content)


async def _last(stream: asyncio.StreamReader) -> bytes:
    kept = b""
    while chunk := await stream.read(_CHUNK):
        kept = (kept + chunk)[-_MOST_COMPLAINT:]
    return kept
