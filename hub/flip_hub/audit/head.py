"""How far the audit's chain went, signed and outside the registry: `audit.head` in the hub's state folder, and backups.

Whoever can write to the registry, but not to that folder, cannot make a shorter or another chain pass for the whole.
"""

import hmac
from pathlib import Path

import msgspec
from msgspec import Struct

from flip_hub.audit.entry import Link
from flip_runtime.atomic import write_file
from flip_runtime.errors import Corrupt

FILE = "audit.head"
PURPOSE = b"audit head"
"""Of the secret (`Tokens.secret_for`)."""


class Head(Struct, frozen=True, kw_only=True):
    seq: int
    hash: str
    at: float
    """When it was signed."""
    mac: str
    """HMAC-SHA-256, in hexadecimal."""

    @property
    def link(self) -> Link:
        return Link(seq=self.seq, hash=self.hash)


def signed(end: Link, at: float, secret: bytes) -> Head:
    return Head(seq=end.seq, hash=end.hash, at=at, mac=_mac(end, at, secret))


def check(head: Head, secret: bytes) -> Head:
    """Raises `Corrupt` when it was signed by nobody who has the secret."""
    if not hmac.compare_digest(head.mac, _mac(head.link, head.at, secret)):
        raise Corrupt("the audit's head is not signed by this hub", hint="is hub.state the folder of this hub?")
    return head


class HeadFile:
    def __init__(self, state: Path, secret: bytes) -> None:
        self._path = state / FILE
        self._secret = secret

    def save(self, end: Link, at: float) -> None:
        write_file(self._path, msgspec.json.encode(signed(end, at, self._secret)))

    def load(self) -> Link | None:
        """None before the first. Raises `Corrupt`."""
        try:
            head = msgspec.json.decode(self._path.read_bytes(), type=Head)
        except FileNotFoundError:
            return None
        except msgspec.DecodeError as error:
            raise Corrupt(f"{self._path} is damaged", hint="the chain's end cannot be checked without it") from error
        return check(head, self._secret).link


def _mac(end: Link, at: float, secret: bytes) -> str:
    return hmac.new(secret, f"{end.seq}\n{end.hash}\n{at!r}".encode(), "sha256").hexdigest()
