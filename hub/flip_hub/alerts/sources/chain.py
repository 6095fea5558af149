"""Whether the audit's chain is whole: verified a part at each look, so that no look waits for a long chain.

A verification begins an hour after the one before at the earliest. What it finds stands until the next one has ended.
"""

import asyncio
import time
from collections.abc import Callable

from flip_hub.audit.head import HeadFile
from flip_hub.audit.store import AuditStore
from flip_hub.audit.verification import Broken, Verification
from flip_runtime.errors import Corrupt

EVERY = 3600.0
"""Seconds between the beginnings of two verifications."""
AT_ONCE = 1000
"""Entries that one look verifies: some 10 ms."""


class ChainWatch:
    def __init__(
        self, store: AuditStore, head: HeadFile, *, at_once: int = AT_ONCE, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._store = store
        self._head = head
        self._at_once = at_once
        self._clock = clock
        self._due = clock()
        self._verification: Verification | None = None
        """The one under way."""
        self._broken = ""

    async def look(self) -> str:
        """What is wrong with the chain, in words for people; empty while nothing is. Raises `DatabaseDown`."""
        if self._verification is None and self._clock() >= self._due:
            await self._begin()
        if self._verification is not None:
            await self._go_on(self._verification)
        return self._broken

    async def _begin(self) -> None:
        self._due = self._clock() + EVERY
        try:
            head = await asyncio.to_thread(self._head.load)  # before the chain: it grows
        except Corrupt as error:
            self._broken = str(error)
        else:
            self._verification = Verification(head)

    async def _go_on(self, verification: Verification) -> None:
        taken = 0
        async for document in self._store.documents(after=verification.end.seq, most=self._at_once):
            taken += 1
            broken = verification.take(document)
            if broken is not None:
                self._end(broken)
                return
        if taken < self._at_once:
            self._end(verification.finish())

    def _end(self, broken: Broken | None) -> None:
        self._verification = None
        self._broken = "" if broken is None else broken.what
