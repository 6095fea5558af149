"""Files by their SHA-256: a file is there whole and as its name says, or it is not there.

Wherever they lie, two hub processes may use them at once.
"""

import hashlib
import re
from collections.abc import AsyncIterable, AsyncIterator
from typing import Protocol, runtime_checkable

from flip_runtime.errors import Corrupt, Rejected
from flip_wire.models import Sha256

ARTIFACT_LIMIT = 4 * 2**30
"""Bytes of one file."""
_SHA256 = re.compile(r"[0-9a-f]{64}")


@runtime_checkable  # handlers are given it by its type
class Artifacts(Protocol):
    """Every call raises `Rejected` for a name that is no hash, and `Unavailable` while their store is away."""

    def create(self) -> None:
        """Makes ready, at the start of the hub, what there must be to write to."""
        ...

    # ---- reading ----

    async def holds(self, sha256: str) -> bool: ...

    async def size(self, sha256: str) -> int:
        """Bytes. Raises `Corrupt` when it is missing."""
        ...

    async def all(self) -> list[Sha256]: ...

    async def check(self, sha256: Sha256) -> None:
        """Verified by this process at least once since the file changed. Raises `Corrupt`."""
        ...

    async def verify(self, sha256: Sha256) -> None:
        """Reads the whole file. Raises `Corrupt` when it is missing or damaged; a damaged one is never given again."""
        ...

    async def read(self, sha256: Sha256) -> bytes:
        """The content of a small file, verified. Raises `Corrupt`."""
        ...

    def stream(self, sha256: Sha256, start: int, stop: int) -> AsyncIterator[bytes]:
        """The bytes from `start` up to `stop`, in blocks."""
        ...

    # ---- writing ----

    async def put(self, content: bytes) -> Sha256: ...

    async def put_stream(self, sha256: str, chunks: AsyncIterable[bytes]) -> int:
        """Stores what arrives, and gives its size. Raises `Rejected`, and keeps nothing, when it is not that hash."""
        ...

    async def remove(self, sha256: Sha256) -> None:
        """What is not there is gone already."""
        ...


class Receipt:
    """What has come of a file so far."""

    def __init__(self, sha256: str, limit: int) -> None:
        self._sha256 = sha256
        self._limit = limit
        self._digest = hashlib.sha256()
        self.size = 0

    def expect(self, size: int) -> None:
        """So many bytes more. Raises `Rejected` beyond the limit."""
        self.size += size
        if self.size > self._limit:
            raise Rejected(f"more than {self._limit:,} bytes", hint="that is the largest file the hub takes")

    def add(self, content: bytes) -> None:
        self._digest.update(content)

    def check(self) -> None:
        """Raises `Rejected` when what has come is not what was named."""
        if (found := self._digest.hexdigest()) != self._sha256:
            raise Rejected(f"the content has hash {found}, not {self._sha256}", hint="send it again, whole")


def check_name(sha256: str) -> str:
    """The name itself. Raises `Rejected` when it is no hash."""
    if not _SHA256.fullmatch(sha256):
        raise Rejected(f"{sha256[:80]!r} is no SHA-256", hint="64 lower-case hexadecimal digits")
    return sha256


def is_name(text: str) -> bool:
    return _SHA256.fullmatch(text) is not None


def missing(sha256: str) -> Corrupt:
    return Corrupt(f"artifact {sha256[:12]} is missing", hint="restore the hub's artifacts from a backup")


def damaged(sha256: str, found: str, where: str) -> Corrupt:
    return Corrupt(f"artifact {sha256[:12]} is damaged: its hash is {found[:12]}", hint=f"moved to {where}")
