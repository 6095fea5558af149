"""Versions that this server has condemned, in a file of its own: they do not answer again, whatever `run` knows.

A verdict is on the disk before the version before takes over, and stays until `run` has made it durable itself: its
links then name another version, and it remembers the refusal. A file that cannot be written condemns all the same, for
as long as the process lives; one that cannot be read is moved aside.
"""

import asyncio
import logging
from pathlib import Path

import msgspec
from msgspec import Struct

from flip_runtime.atomic import write_file
from flip_wire.models import Sha256

log = logging.getLogger(__name__)

_MOST = 64


class Verdict(Struct, frozen=True, kw_only=True):
    model: str
    version: int
    manifest: Sha256
    to_version: int
    reason: str
    at: float


class Verdicts:
    def __init__(self, folder: Path) -> None:
        """`folder` is the instance's own."""
        self._path = folder / "verdicts.json"
        self._writing = asyncio.Lock()
        self.pending = _read(self._path)
        """Of which `run` has not said that it keeps them, oldest first."""

    def condemned(self, manifest: Sha256) -> str:
        """Why; empty when it is not."""
        return next((verdict.reason for verdict in self.pending if verdict.manifest == manifest), "")

    async def condemn(self, verdict: Verdict) -> None:
        """Returns when it is on the disk."""
        self.pending = [*self.pending, verdict][-_MOST:]
        await self._write()

    async def kept(self, manifest: Sha256) -> None:
        """By `run`, from now on."""
        self.pending = [verdict for verdict in self.pending if verdict.manifest != manifest]
        await self._write()

    async def _write(self) -> None:
        async with self._writing:
            content = msgspec.json.encode(self.pending)
            try:
                await asyncio.to_thread(_replace, self._path, content)
            except OSError as error:
                log.error(
                    "verdicts cannot be kept", extra={"reason": str(error.strerror), "verdicts": len(self.pending)}
                )


def _replace(path: Path, content: bytes) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    write_file(path, content)


def _read(path: Path) -> list[Verdict]:
    try:
        return msgspec.json.decode(path.read_bytes(), type=list[Verdict])
    except FileNotFoundError:
        return []
    except (msgspec.DecodeError, UnicodeDecodeError, OSError) as error:
        log.error("verdicts cannot be read, they begin anew", extra={"reason": str(error)})
        aside = path.with_name(f"{path.name}.damaged")
        if path.exists():
            path.replace(aside)
        return []
