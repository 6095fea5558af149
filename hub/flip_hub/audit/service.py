"""The audit: what is noted here is an entry of the chain when `note` returns, with as many hubs writing as there are.

Notes that come while others are being written are written together. One that could not be written because the registry
was away is owed: it is written as soon as it is back, unless this hub dies before. Refusals are noted without waiting;
they are bounded (`Refusals`), and so is what is owed.
"""

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable
from itertools import islice

from msgspec.structs import replace

from flip_hub.api.pages import Page, Wanted
from flip_hub.audit.entry import LONGEST, Entry, Link, Note, chained, link
from flip_hub.audit.head import HeadFile
from flip_hub.audit.refusals import Refusals
from flip_hub.audit.schemas import Sought
from flip_hub.audit.store import AuditStore
from flip_hub.audit.verification import ChainVerdict, verify_chain
from flip_hub.mongo import DatabaseDown
from flip_runtime.trace import current_trace_id

log = logging.getLogger(__name__)

AT_ONCE = 100
"""Entries in one write."""
OWED = 10_000
"""Notes that wait for the registry; those that find no room are counted."""
HEAD_EVERY = 1.0
"""Seconds between two heads at least: so much of a chain's end can be cut off and not be missed."""


class Audit:
    def __init__(
        self,
        store: AuditStore,
        head: HeadFile,
        *,
        refusals: Refusals | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._store = store
        self._head = head
        self._refusals = refusals or Refusals()
        self._clock = clock
        self._writing = asyncio.Lock()
        self._owed: deque[Note] = deque()
        self._lost = 0
        self._end: Link | None = None
        """Of the chain as this hub last saw it; None when it must look."""
        self._in_doubt = False
        """Whether some of what is owed may have been written: the answer was lost."""
        self._there = asyncio.Event()

    async def note(
        self,
        action: str,
        *,
        actor: str,
        subject: str = "",
        detail: str = "",
        refused: bool = False,
        address: str = "",
        changes: str = "",
    ) -> None:
        """Raises `DatabaseDown`: then it is owed."""
        self._owe(replace(self._noted(action, actor, subject, detail, refused, address), changes=changes))
        await self._settle()

    def refuse(self, action: str, *, actor: str, subject: str = "", detail: str = "", address: str = "") -> None:
        """Notes a refused call, if it is not one too many, and never waits."""
        if self._refusals.take(actor or address):
            self._owe(self._noted(action, actor, subject, detail, True, address))
        self._there.set()

    async def page(self, sought: Sought, wanted: Wanted) -> Page[Entry]:
        """Newest first."""
        return await self._store.page(sought, wanted)

    async def verify(self) -> ChainVerdict:
        """The whole chain. Raises `Corrupt` when the head is not this hub's."""
        head = await asyncio.to_thread(self._head.load)  # before the chain: it grows
        return await verify_chain(self._store, head)

    async def run(self) -> None:
        """Writes refusals and what is owed, and how far the chain has gone; until it is cancelled."""
        saved: Link | None = None
        while True:
            self._there.clear()
            self._count_unlisted()
            await self._settle()
            if self._end is not None and self._end != saved:
                saved = self._end
                await asyncio.to_thread(self._head.save, saved, self._clock())
            await asyncio.sleep(HEAD_EVERY)
            try:
                async with asyncio.timeout(self._refusals.due()):
                    await self._there.wait()
            except TimeoutError:
                pass

    def _noted(self, action: str, actor: str, subject: str, detail: str, refused: bool, address: str) -> Note:
        return Note(
            at=self._clock(),
            actor=_short(actor),
            action=_short(action),
            subject=_short(subject),
            detail=_short(detail),
            refused=refused,
            address=address,
            trace_id=current_trace_id(),
        )

    def _owe(self, note: Note) -> None:
        if len(self._owed) < OWED:
            self._owed.append(note)
        else:
            self._lost += 1
        self._there.set()

    def _count_unlisted(self) -> None:
        unlisted = self._refusals.unlisted()
        if unlisted:
            detail = f"{unlisted} more calls were refused within a minute"
            self._owe(self._noted("refusals", "", "", detail, True, ""))

    async def _settle(self) -> None:
        """Writes all that is owed by now."""
        async with self._writing:
            while self._owed:
                written = await self._write(list(islice(self._owed, AT_ONCE)))
                for _ in range(written):
                    self._owed.popleft()
            if self._lost:
                log.error("audit entries were lost: the registry was away for too long", extra={"count": self._lost})
                self._lost = 0

    async def _write(self, notes: list[Note]) -> int:
        """How many of them, from the first on, are in the chain now."""
        try:
            if self._in_doubt:
                there = await self._store.holds(notes)
                self._in_doubt = False
                if there[0]:
                    return there.index(False) if False in there else len(there)
            entries = chained(self._end or await self._store.end(), notes)
            count = await self._store.append(entries)
        except (DatabaseDown, asyncio.CancelledError):
            self._end, self._in_doubt = None, True
            raise
        self._end = link(entries[count - 1]) if count == len(entries) else None
        return count


def _short(text: str) -> str:
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"
