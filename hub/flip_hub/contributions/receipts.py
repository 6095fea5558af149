"""What became of a reply: the ServerApp has it, or nobody waits for it any more, or the round may still take it.

A reply that the run has, by its ServerApp's report or by its journal, is accepted for ever; one that was refused is
refused. Of any other, as long as its run goes on or is paused, nothing can be said; when the run has ended it is late.
A run ends only when its journal is closed and taken in, so no reply is both counted and late, whatever became of the
reports. A receipt is for the device that the message was written to.
"""

import time
from collections.abc import Mapping, Sequence

from msgspec.structs import replace

from flip_hub.api.pages import Page, Wanted
from flip_hub.contributions.schemas import Instructed
from flip_hub.contributions.store import ContributionStore
from flip_hub.federation.journal import Journals
from flip_hub.federation.mailboxes import Mailboxes
from flip_hub.federation.schemas import (
    MessagesPushed,
    RepliesMissed,
    RepliesTaken,
    ReplyReceived,
    ReplyRefused,
    Run,
    RunReport,
    RunStatus,
)
from flip_hub.federation.store import ACTIVE, RunStore
from flip_hub.problem import Conflict
from flip_hub.receipts.chain import ReceiptEntry, ReceiptSeal
from flip_hub.receipts.writer import ReceiptChain
from flip_wire.contributions import Fate, Receipt
from flip_wire.fleet import DeviceId


class Receipts:
    def __init__(
        self, store: ContributionStore, runs: RunStore, mailboxes: Mailboxes, journals: Journals, chain: ReceiptChain
    ) -> None:
        self._store = store
        self.journals = journals
        self._runs = runs
        self._mailboxes = mailboxes
        self._chain = chain

    async def report(self, number: str, report: RunReport, devices: Mapping[str, DeviceId]) -> None:
        """What the ServerApp's process tells, twice is harmless; `number` is Flower's of the run that it is."""
        match report:
            case MessagesPushed():
                written = zip(
                    report.messages, report.nodes, strict=False
                )  # of an app that tells no messages there are none
                owned = [(key, devices.get(node, "")) for key, node in written]
                now = time.time()
                await self._store.instructed(
                    [_of(number, key, report.round, report.phase, to, sent_at=now) for key, to in owned]
                )
            case ReplyReceived(message=key) if key:
                to = devices.get(report.node, "")
                reply = {"received_at": time.time(), "error": report.error, "content": report.content}
                await self._settle([replace(_of(number, key, report.round, report.phase, to), **reply)])
            case ReplyRefused(message=key):
                to = devices.get(report.node, "")
                refused = _of(number, key, report.round, report.phase, to, Fate.REFUSED, report.reason)
                await self._tell(number, [refused])
            case RepliesTaken():
                taken = [_of(number, key, 0, "", "", Fate.ACCEPTED) for key in report.messages]
                shares = [report.weights.get(each.message_id) for each in taken]
                told = zip(taken, shares, strict=True)
                await self._tell(number, [replace(each, share=share, taken=report.round) for each, share in told])
            case RepliesMissed():
                await self._tell(
                    number, [_of(number, key, 0, "", "", Fate.LATE, report.reason) for key in report.messages]
                )
            case _:
                pass

    async def ending(self, run: Run) -> None:
        """Before a run is called ended: from now on its ServerApp gets no more replies."""
        await self._take_in(run.flower_run_id, await self.journals.close(run.id))
        await self._store.settle_pending(run.earlier, "the run went on without this exchange")
        self.journals.remove(run.id)

    async def ended(self, run: Run) -> None:
        """Seals the chain of its receipts, and wakes whoever waits for one of them."""
        await self._finish(run)
        self._mailboxes.wake(run.numbers)

    async def chain(self, run: Run, wanted: Wanted) -> Page[ReceiptEntry]:
        """The run's receipts in the order of their chain."""
        return await self._chain.page(run.id, wanted)

    async def seal(self, run: Run) -> ReceiptSeal:
        """Of the chain as it is; the last one of a run that has ended."""
        if run.finished_at is not None and not await self._chain.is_sealed(run.id):  # its hub died before
            await self._finish(run)
        return await self._chain.seal(run.id)

    @property
    def key(self) -> str:
        """The hub's public key, of all seals."""
        return self._chain.key

    async def devices(self, run: Run) -> set[DeviceId]:
        """That the run's chain names."""
        return await self._chain.devices(run.id)

    async def _finish(self, run: Run) -> None:
        await self._store.settle_pending(run.numbers, f"the run had ended: {run.reason or run.status}")
        await self._chain.finish(run)

    async def receipt(self, device_id: DeviceId, message_id: str, flower_run_id: str) -> Receipt:
        """Raises `Conflict` when the message was written to another device."""
        run = await self._runs.run_of_flower(flower_run_id)  # first: when it has ended, its journal is in the registry
        known = await self._store.instruction(message_id)
        if known is not None and known.device_id not in ("", device_id):
            raise Conflict("this message was written to another device")
        if known is not None and known.fate != Fate.PENDING:
            return Receipt(
                message_id=message_id,
                fate=Fate(known.fate),
                reason=known.reason,
                weight=known.share,
                entry=known.entry,
                hash=known.hash,
            )
        if run is not None and run.status in (*ACTIVE, RunStatus.PAUSED):
            if self.journals.holds(run.id, message_id):
                await self._take_in(flower_run_id, [message_id])
                return Receipt(message_id=message_id, fate=Fate.ACCEPTED)
            if known is None or flower_run_id == run.flower_run_id or known.round >= run.round:
                return Receipt(message_id=message_id, fate=Fate.PENDING)  # an earlier round asks again when it goes on
            return Receipt(message_id=message_id, fate=Fate.LATE, reason="its round ended while the hub was away")
        reason = "the hub knows of no such run" if run is None else f"the run had ended: {run.reason or run.status}"
        return Receipt(message_id=message_id, fate=Fate.LATE, reason=reason)

    async def examples(self, numbers: Sequence[str]) -> dict[DeviceId, float]:
        """Of each device's newest result in those runs of Flower's: on how many it stood."""
        return await self._store.examples(numbers)

    async def _take_in(self, number: str, message_ids: Sequence[str]) -> None:
        await self._settle([_of(number, key, 0, "", "", Fate.ACCEPTED) for key in message_ids])

    async def _tell(self, number: str, settled: list[Instructed]) -> None:
        """The ServerApp has told of them: they come into the chain before anybody hears of it."""
        await self._store.settle([replace(each, told=True) for each in settled])
        run = await self._runs.run_of_flower(number)
        if run is not None:
            await self._chain.extend(run)
        self._mailboxes.wake([each.message_id for each in settled])

    async def _settle(self, settled: list[Instructed]) -> None:
        await self._store.settle(settled)
        self._mailboxes.wake([each.message_id for each in settled if each.fate != Fate.PENDING])


def _of(
    number: str,
    message_id: str,
    round: int,
    phase: str,
    device_id: str,
    fate: Fate = Fate.PENDING,
    reason: str = "",
    *,
    sent_at: float = 0.0,
) -> Instructed:
    return Instructed(
        message_id=message_id,
        flower_run_id=number,
        round=round,
        phase=phase,
        device_id=DeviceId(device_id),
        fate=fate,
        reason=reason,
        sent_at=sent_at,
    )
