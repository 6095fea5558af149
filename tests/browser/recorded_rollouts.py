"""A rollout in its second ring, and how the recorded hub answers about rollouts."""

from collections.abc import Callable, Sequence
from typing import Any, Final

import fleet
from litestar import Request, get, post
from litestar.params import FromPath, FromQuery, JSONBody
from litestar.types import ControllerRouterHandler
from msgspec.structs import replace
from recorded_refusals import Refused

from flip_hub.live import RolloutChanged
from flip_hub.rollouts.schemas import (
    Check,
    DeviceCounts,
    Figures,
    Reason,
    RingDevice,
    RingProgress,
    RingState,
    Rollout,
    RolloutStatus,
    Standing,
    Step,
    StepKind,
    Verdict,
)
from flip_hub.rollouts.terms import Gates, Ring

UNDER_WAY: Final = "rollout-4c81d0b2e97a"
TAKEN_BACK: Final = "rollout-0a5f63c7d218"
Guard = Callable[[Request[Any, Any, Any]], None]

_REFUSED = "3 of 9 devices refused it, at most 10% may"


def rollouts() -> list[Rollout]:
    """Newest first."""
    start = fleet.NOW - 2 * fleet.HOUR
    rings = [
        RingProgress(
            ring=Ring(name="lab", tags=["lab"], soak=1800.0), below=1.0, state=RingState.PASSED, opened_at=start,
            soaking_since=start + 60, passed_at=start + 1860, counts=DeviceCounts(devices=2, serving=2),
        ),
        RingProgress(
            ring=Ring(name="tenth", share=0.1, sites=["north", "south"], soak=7200.0), below=0.11,
            state=RingState.OPEN, opened_at=start + 1860, soaking_since=start + 2000, why="it is watched for 7200 s",
            counts=DeviceCounts(devices=9, serving=6, refused=1, rolled_back=1, silent=1),
        ),
        RingProgress(ring=Ring(name="everybody", soak=0.0), below=1.0),
    ]  # fmt: skip
    under_way = Rollout(
        id=UNDER_WAY,
        model=fleet.MODEL,
        version=5,
        before=4,
        status=RolloutStatus.RUNNING,
        reason="",
        rings=rings,
        gates=Gates(),
        checks=[
            Check(gate="serving", verdict=Verdict.PASSED, text="8 devices serve it, 1 must"),
            Check(gate="refusals", verdict=Verdict.WAITING, text=_REFUSED),
            Check(gate="errors", verdict=Verdict.FAILED, text="it could not compute 9 of 84 calls"),
        ],
        figures=Figures(answered=48_120, failed=2, median=0.01, judged=310, correct=297),
        figures_before=Figures(answered=1_284_906, failed=37, median=0.0086),
        started_at=start,
        started_by=fleet.FINISHED,
        looked_at=fleet.NOW,
        ended_at=None,
        steps=[
            Step(at=start, kind=StepKind.STARTED, reason=f"the best version of {fleet.FINISHED}"),
            Step(at=start, kind=StepKind.OPENED, ring="lab"),
            Step(at=start + 1860, kind=StepKind.PASSED, ring="lab"),
            Step(at=start + 1860, kind=StepKind.OPENED, ring="tenth"),
        ],
    )
    why = f"ring tenth: refusals: {_REFUSED}"
    failed = [rings[0], replace(rings[1], state=RingState.FAILED, why=why), rings[2]]
    taken_back = replace(
        under_way, id=TAKEN_BACK, version=3, before=2, status=RolloutStatus.ROLLED_BACK, reason=why, rings=failed,
        started_at=start - fleet.HOUR, ended_at=start, started_by="ada",
        steps=[*under_way.steps, Step(at=start, kind=StepKind.ROLLED_BACK, reason=why)],
    )  # fmt: skip
    return [under_way, taken_back]


def devices() -> list[RingDevice]:
    """By name."""
    told = [
        ("lab", Standing.SERVING, 5, ""),
        ("tenth", Standing.ROLLED_BACK, 4, "rolled back: it cannot compute 12 of 40 calls"),
        ("tenth", Standing.REFUSED, 4, "the probe's output differs by 0.013 (0.0001 is allowed)"),
        ("tenth", Standing.SILENT, 3, ""),
        ("everybody", Standing.WAITING, None, ""),
        ("tenth", Standing.BRINGING, 4, ""),
    ]
    return [
        RingDevice(
            device_id=device.id, name=device.name, ring=ring, standing=standing, serves=serves, reason=reason,
            last_seen=device.last_seen,
        )
        for device, (ring, standing, serves, reason) in zip(fleet.devices(), told, strict=True)
    ]  # fmt: skip


class RecordedRollouts:
    """`tell` hands each change to the consoles."""

    def __init__(self, guard: Guard, tell: Callable[[RolloutChanged], None]) -> None:
        self.known: dict[str, Rollout] = {}
        self._guard = guard
        self._tell = tell

    def decide(self, rollout_id: str, status: RolloutStatus, kind: StepKind) -> Rollout:
        step = Step(at=fleet.NOW, kind=kind, by="admin")
        changed = replace(self.known[rollout_id], status=status)
        self._tell(RolloutChanged(data=replace(changed, steps=[*changed.steps, step])))
        return self.known[rollout_id]

    def handlers(self) -> Sequence[ControllerRouterHandler]:
        recorded = self

        @get("/api/v1/rollouts")
        async def listed(request: Request[Any, Any, Any], model: FromQuery[str]) -> list[Rollout]:
            recorded._guard(request)
            return [each for each in recorded.known.values() if each.model == model]

        @get("/api/v1/rollouts/{rollout:str}")
        async def shown(request: Request[Any, Any, Any], rollout: FromPath[str]) -> Rollout:
            recorded._guard(request)
            if rollout not in recorded.known:
                raise Refused(404, "Not found", f"There is no rollout {rollout}.")
            return recorded.known[rollout]

        @get("/api/v1/rollouts/{rollout:str}/devices")
        async def of_rings(request: Request[Any, Any, Any], rollout: FromPath[str]) -> list[RingDevice]:
            recorded._guard(request)
            return devices()

        @post("/api/v1/rollouts/{rollout:str}/{what:str}", status_code=200, sync_to_thread=True)
        def decide(
            request: Request[Any, Any, Any], rollout: FromPath[str], what: FromPath[str], data: JSONBody[Reason]
        ) -> Rollout:
            recorded._guard(request)
            assert data.reason == ""
            return recorded.decide(rollout, *_DECISIONS[what])

        return [listed, shown, of_rings, decide]


_DECISIONS = {
    "halt": (RolloutStatus.HALTED, StepKind.HALTED),
    "resume": (RolloutStatus.RUNNING, StepKind.RESUMED),
    "rollback": (RolloutStatus.ROLLED_BACK, StepKind.ROLLED_BACK),
}
