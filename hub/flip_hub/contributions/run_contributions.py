"""What devices contributed to runs: instruction, reply and receipt put together."""

from flip_hub.api.pages import Page, Wanted
from flip_hub.contributions.schemas import Contribution, Instructed, LateContribution, RoundTraffic
from flip_hub.contributions.store import ContributionStore
from flip_hub.federation.schemas import Run
from flip_wire.contributions import Fate
from flip_wire.fleet import DeviceId


class RunContributions:
    def __init__(self, store: ContributionStore) -> None:
        self._store = store

    async def of_run(
        self, run: Run, wanted: Wanted, device_id: DeviceId | None = None, phase: str | None = None
    ) -> Page[Contribution]:
        """The newest round first."""
        return await self._told(await self._store.of_run(run.numbers, wanted, device_id, phase))

    async def traffic(self, run: Run) -> list[RoundTraffic]:
        """Of its rounds, the first one first."""
        return await self._store.traffic(run.numbers)

    async def of_device(self, device_id: DeviceId, wanted: Wanted) -> Page[Contribution]:
        """Of all runs, what was asked last first."""
        return await self._told(await self._store.of_device(device_id, wanted))

    async def _told(self, asked: Page[Instructed]) -> Page[Contribution]:
        late = await self._store.kept_late([each.message_id for each in asked.items])
        return Page([_contribution(each, late.get(each.message_id)) for each in asked.items], asked.next)


def _contribution(asked: Instructed, late: LateContribution | None) -> Contribution:
    content, fate = asked.content, Fate(asked.fate)
    counts = fate is Fate.ACCEPTED and not asked.error
    return Contribution(
        message_id=asked.message_id,
        flower_run_id=asked.flower_run_id,
        device_id=asked.device_id or (late.device_id if late else DeviceId("")),
        round=asked.round,
        phase=asked.phase,
        sent_at=asked.sent_at,
        received_at=asked.received_at or (late.kept_at if late else None),
        fate=fate,
        reason=asked.reason or asked.error or (late.reason if late else ""),
        counts=counts,
        kept_late=late is not None,
        sha256=content.sha256 if content else "",
        size=content.size if content else late.size if late else 0,
        weight=content.weight if content else None,
        share=asked.share,
        taken=(asked.taken or asked.round) if counts else 0,
        signed=content is not None and content.signed is not None,
        entry=asked.entry,
    )
