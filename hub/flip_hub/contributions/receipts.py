"""What became of a reply: the ServerApp has it, or nobody waits for it any more, or the round may still take it.

A reply of which the ServerApp's Grid reported that it has it is accepted for ever. Of one that it did not report, as
long as its run goes on nothing can be said; when the run has ended it is late. So a device is never told that a reply
is late before all reports of its run have come, which Flower's run waits for.
"""

from flip_hub.contributions.schemas import Instructed
from flip_hub.contributions.store import ContributionStore
from flip_hub.federation.mailboxes import Mailboxes
from flip_hub.federation.schemas import MessagesPushed, RepliesMissed, ReplyReceived, Run, RunReport
from flip_hub.federation.store import ACTIVE, RunStore
from flip_wire.contributions import Fate, Receipt


class Receipts:
    def __init__(self, store: ContributionStore, runs: RunStore, mailboxes: Mailboxes) -> None:
        self._store = store
        self._runs = runs
        self._mailboxes = mailboxes

    async def report(self, run: Run, report: RunReport) -> None:
        """What the ServerApp's process tells; twice is harmless."""
        match report:
            case MessagesPushed():
                await self._store.instructed([_of(run, key, report.round, report.phase) for key in report.messages])
            case ReplyReceived(message=key) if key:
                await self._settle([_of(run, key, report.round, report.phase, Fate.ACCEPTED)])
            case RepliesMissed():
                missed = [_of(run, key, 0, "", Fate.LATE, report.reason) for key in report.messages]
                await self._settle(missed)
            case _:
                pass

    def ended(self, run: Run) -> None:
        """Wakes whoever waits for a receipt of that run."""
        self._mailboxes.wake([run.flower_run_id])

    async def receipt(self, message_id: str, flower_run_id: str) -> Receipt:
        known = await self._store.instruction(message_id)
        if known is not None and known.fate != Fate.PENDING:
            return Receipt(message_id=message_id, fate=Fate(known.fate), reason=known.reason)
        run = await self._runs.run_of_flower(flower_run_id)
        if run is not None and run.status in ACTIVE:
            return Receipt(message_id=message_id, fate=Fate.PENDING)
        reason = "the hub knows of no such run" if run is None else f"the run had ended: {run.reason or run.status}"
        return Receipt(message_id=message_id, fate=Fate.LATE, reason=reason)

    async def _settle(self, settled: list[Instructed]) -> None:
        await self._store.settle(settled)
        self._mailboxes.wake([each.message_id for each in settled])


def _of(run: Run, message_id: str, round: int, phase: str, fate: Fate = Fate.PENDING, reason: str = "") -> Instructed:
    return Instructed(
        message_id=message_id, flower_run_id=run.flower_run_id, round=round, phase=phase, fate=fate, reason=reason
    )
