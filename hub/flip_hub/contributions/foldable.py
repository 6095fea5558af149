"""Late contributions that a run may still fold in: a ServerApp that took another's place asks for them.

Its predecessor waited for replies beyond their round; those of them that came after its death are kept as late. One is
given until a checkpoint holds what came of it (the run's folder says so, whoever dies when), and never when anything
was said of it before.
"""

from flip_hub.artifacts.artifacts import Artifacts
from flip_hub.contributions.schemas import LateRecord
from flip_hub.contributions.store import ContributionStore
from flip_hub.federation.brief import Foldable
from flip_hub.federation.journal import Journals
from flip_hub.federation.schemas import Phase
from flip_hub.federation.store import RunStore
from flip_wire.contributions import Fate


class FoldableReplies:
    def __init__(self, store: ContributionStore, runs: RunStore, journals: Journals, objects: Artifacts) -> None:
        """`objects`: that late contributions consist of."""
        self._store = store
        self._runs = runs
        self._journals = journals
        self.objects = objects

    async def of_run(self, flower_run_id: str, since: int) -> list[Foldable]:
        """To training from that round on, by round and device; none of a run that is not known."""
        run = await self._runs.run_of_flower(flower_run_id)
        kept = [] if run is None else await self._store.late_of_run(run.id)
        asked = {each.message_id: each for each in await self._store.instructions([_key(each) for each in kept])}
        found: list[Foldable] = []
        for record in kept:
            key, sent = _key(record), asked.get(_key(record))
            if sent is None or run is None or sent.phase != Phase.TRAIN or sent.round < since:
                continue
            if sent.fate == Fate.PENDING and not self._journals.holds(run.id, key):
                device = record.contribution.device_id
                found.append(Foldable(message_id=key, device_id=device, round=sent.round, reply=record.reply))
        return sorted(found, key=lambda each: (each.round, each.device_id))


def _key(record: LateRecord) -> str:
    return record.contribution.message_id
