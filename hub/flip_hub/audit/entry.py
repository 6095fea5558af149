"""One entry of the audit: it holds the hash of the entry before it, and its own is over all that it says.

    hash = SHA-256("flip-audit-1\\n" + JSON array of `seq`, the fields of `Note` in their order, `before`)

`changes` is left out of the array where it is empty, as it is in entries of before it was there.

So an entry that is changed, removed or put in between no longer fits what comes after it.
"""

import hashlib
from collections.abc import Sequence

import msgspec
from msgspec import Struct
from msgspec.structs import asdict, astuple, replace

GENESIS = "0" * 64
"""What the first entry holds in place of a hash."""
LONGEST = 500
"""Characters of a text in an entry."""
_FORMAT = b"flip-audit-1\n"


class Note(Struct, frozen=True, kw_only=True):
    """What is to be said; the chain gives it its place."""

    at: float
    actor: str
    """A user, a device's id, `local:UID` of the hub's own machine; empty where nobody has proven who they are."""
    action: str
    """A call of the API such as `POST /api/v1/devices/{device_id}/revoke`, or the name of what was done elsewhere."""
    subject: str = ""
    """What it was done to: an id, a name."""
    detail: str = ""
    """The answer in words; never what was sent."""
    refused: bool = False
    address: str = ""
    """Where the call came from."""
    trace_id: str = ""
    """Of the request, as the logs and the answer name it."""
    changes: str = ""
    """What was changed: JSON, `[[FIELD, OLD, NEW], ...]`; empty where that is not told."""


class Entry(Note, frozen=True, kw_only=True):
    seq: int
    """1 for the first; no number is left out."""
    before: str
    """Hash of the entry before."""
    hash: str


class Link(Struct, frozen=True, kw_only=True):
    """Where the chain ends."""

    seq: int = 0
    hash: str = GENESIS


def chained(after: Link, notes: Sequence[Note]) -> list[Entry]:
    """In this order."""
    entries: list[Entry] = []
    for note in notes:
        entry = Entry(**asdict(note), seq=after.seq + 1, before=after.hash, hash="")
        entries.append(replace(entry, hash=digest(entry)))
        after = link(entries[-1])
    return entries


def link(entry: Entry) -> Link:
    return Link(seq=entry.seq, hash=entry.hash)


def digest(entry: Entry) -> str:
    """What its hash must be."""
    fields = (entry.seq, *_said(entry), entry.before)
    return hashlib.sha256(_FORMAT + msgspec.json.encode(fields)).hexdigest()


def _said(entry: Entry) -> tuple[object, ...]:
    said = astuple(entry)[: len(Note.__struct_fields__)]
    return said if entry.changes else said[:-1]
