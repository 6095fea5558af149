"""The spans that devices made of a run's messages, each with the round that it belongs to."""

from flip_hub.api.pages import Page, Wanted
from flip_hub.contributions.store import ContributionStore
from flip_hub.federation.service import RunService
from flip_hub.telemetry.schemas import MessageSpans
from flip_hub.telemetry.store import SpanStore


class RunSpans:
    def __init__(self, spans: SpanStore, runs: RunService, instructions: ContributionStore) -> None:
        self._spans = spans
        self._runs = runs
        self._instructions = instructions

    async def newest(self, run_id: str, wanted: Wanted) -> Page[MessageSpans]:
        """By message, the one that ended last first. Raises `NotFound` for an unknown run."""
        run = (await self._runs.detail(run_id)).run
        stored = await self._spans.newest(run.flower_run_id, wanted)
        sent = await self._instructions.instructions([each.message_id for each in stored.items])
        rounds = {each.message_id: (each.round, each.phase) for each in sent}
        spans = [
            MessageSpans(
                device_id=each.device_id, message_id=each.message_id, round=round, phase=phase, spans=each.spans
            )
            for each in stored.items
            for round, phase in [rounds.get(each.message_id, (0, ""))]
        ]
        return Page(spans, stored.next)
