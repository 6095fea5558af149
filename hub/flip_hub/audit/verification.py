"""Whether the chain is whole: what was changed, removed, put in between or cut off at its end, and where it begins.

The last entries of a chain can be removed without a trace in it. So the hub keeps a signed `Head` outside the registry:
how far the chain went, and with which hash.
"""

from collections.abc import AsyncIterator
from typing import Any, Protocol

import msgspec
from msgspec import Struct

from flip_hub.audit.entry import Entry, Link, digest, link


class Broken(Struct, frozen=True, kw_only=True):
    seq: int
    """Of the first entry that is not as the hub wrote it."""
    what: str
    """In words for people."""


class ChainVerdict(Struct, frozen=True, kw_only=True):
    end: Link
    """As far as the chain is whole."""
    broken: Broken | None


class Documents(Protocol):
    def documents(self) -> AsyncIterator[dict[str, Any]]:
        """All, by number."""
        ...


async def verify_chain(store: Documents, head: Link | None) -> ChainVerdict:
    """`head`: how far the chain went at least."""
    verification = Verification(head)
    async for document in store.documents():
        broken = verification.take(document)
        if broken is not None:
            return ChainVerdict(end=verification.end, broken=broken)
    return ChainVerdict(end=verification.end, broken=verification.finish())


class Verification:
    """Takes the documents one by one, by number; memory does not grow with them."""

    def __init__(self, head: Link | None) -> None:
        self._head = head
        self.end = Link()

    def take(self, document: dict[str, Any]) -> Broken | None:
        """What is wrong with it, if anything: nothing after it says anything any more."""
        expected, key = self.end.seq + 1, document.get("_id")
        if not isinstance(key, int) or isinstance(key, bool) or key < expected:
            return Broken(seq=expected, what=f"an entry {key!r} that the hub has not written was put in")
        if key > expected:
            missing = f"entry {expected} was" if key == expected + 1 else f"entries {expected} to {key - 1} were"
            return Broken(seq=expected, what=f"{missing} removed")
        try:
            entry = msgspec.convert({**document, "seq": key}, Entry)
        except msgspec.ValidationError:
            return Broken(seq=key, what=f"entry {key} was changed: it is none any more")
        return self._follow(entry)

    def finish(self) -> Broken | None:
        """After the last."""
        if self._head is not None and self.end.seq < self._head.seq:
            first, last = self.end.seq + 1, self._head.seq
            missing = f"entry {first} was" if first == last else f"entries {first} to {last} were"
            return Broken(seq=first, what=f"{missing} removed from the end")
        return None

    def _follow(self, entry: Entry) -> Broken | None:
        if digest(entry) != entry.hash:
            return Broken(seq=entry.seq, what=f"entry {entry.seq} was changed")
        if entry.before != self.end.hash:
            what = f"entry {entry.seq} does not follow entry {self.end.seq}: one of them was written anew"
            return Broken(seq=entry.seq, what=what)
        if self._head is not None and entry.seq == self._head.seq and entry.hash != self._head.hash:
            return Broken(
                seq=entry.seq, what=f"entry {entry.seq}, or one before it, and all after that were written anew"
            )
        self.end = link(entry)
        return None
