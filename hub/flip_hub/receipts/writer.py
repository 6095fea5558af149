"""Writes the chains of receipts: an instruction whose fate is settled gets its entry, once, whatever is killed when.

What is settled and not yet in the chain is found in the registry; so an entry that a crash has prevented is written
with the next. Two hubs cannot write the same number. After the end of the run its seal is signed, and none comes after.
"""

import asyncio
import time
from collections.abc import Callable

from flip_hub.api.pages import Page, Wanted
from flip_hub.contributions.schemas import Instructed
from flip_hub.contributions.store import ContributionStore
from flip_hub.federation.schemas import Run
from flip_hub.models.signing import ModelSigner
from flip_hub.receipts.chain import ReceiptEntry, ReceiptSeal, chained, sealed
from flip_hub.receipts.store import ChainStore
from flip_wire.contributions import Fate
from flip_wire.fleet import DeviceId

_AT_ONCE = 500
"""Entries in one write."""


class ReceiptChain:
    def __init__(
        self,
        store: ChainStore,
        contributions: ContributionStore,
        signer: ModelSigner,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """`signer` signs the seals."""
        self._store = store
        self._contributions = contributions
        self._signer = signer
        self._clock = clock
        self._writing = asyncio.Lock()

    async def extend(self, run: Run, *, all_settled: bool = False) -> None:
        """Writes what the run's ServerApp has told of; with `all_settled` also what only its journal tells."""
        async with self._writing:
            while settled := await self._contributions.unchained(run.numbers, _AT_ONCE, all_settled):
                if await self._store.seal(run.id) is not None:
                    return
                known = await self._store.of_messages(run.id, [each.message_id for each in settled])
                written = {entry.message_id for entry in known}
                fresh = [self._entry(run.id, each) for each in settled if each.message_id not in written]
                made = chained(await self._store.end(run.id), fresh)
                if made and not await self._store.append(made):
                    continue
                await self._contributions.chained([*known, *made])

    async def finish(self, run: Run) -> None:
        """Of a run that has ended, once its pending instructions are settled."""
        await self.extend(run, all_settled=True)
        await self._store.keep_seal(await self._sealed(run.id, final=True))

    async def is_sealed(self, run_id: str) -> bool:
        return await self._store.seal(run_id) is not None

    @property
    def key(self) -> str:
        """With which seals are signed: the public half."""
        return self._signer.line

    async def devices(self, run_id: str) -> set[DeviceId]:
        """That the chain names."""
        return await self._store.devices(run_id)

    async def page(self, run_id: str, wanted: Wanted) -> Page[ReceiptEntry]:
        return await self._store.page(run_id, wanted)

    async def seal(self, run_id: str) -> ReceiptSeal:
        """Of the chain as it is now, where the run goes on."""
        return await self._store.seal(run_id) or await self._sealed(run_id, final=False)

    async def _sealed(self, run_id: str, *, final: bool) -> ReceiptSeal:
        last, at, key = await self._store.end(run_id), self._clock(), self._signer.line
        seal = ReceiptSeal(run_id=run_id, entries=last.seq, hash=last.hash, final=final, at=at, key=key, signature="")
        return sealed(seal, self._signer.signature)

    def _entry(self, run_id: str, settled: Instructed) -> ReceiptEntry:
        content = settled.content
        return ReceiptEntry(
            run_id=run_id,
            seq=0,
            message_id=settled.message_id,
            device_id=settled.device_id,
            round=settled.round,
            phase=settled.phase,
            fate=Fate(settled.fate),
            reason=settled.reason or settled.error,
            weight=settled.share,
            at=self._clock(),
            signed=content.signed if content else None,
            key=content.key if content else "",
            before="",
            hash="",
        )
