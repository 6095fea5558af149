"""Rollouts as the API shows them."""

from collections.abc import Sequence
from enum import StrEnum
from typing import Annotated

from msgspec import Meta, Struct

from flip_hub.rollouts.terms import MOST_RINGS, Gates, Ring
from flip_wire.fleet import DeviceId


class RolloutRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`POST /api/v1/rollouts`."""

    model: str
    version: Annotated[int, Meta(ge=1, le=2**53)]
    rings: Annotated[list[Ring], Meta(max_length=MOST_RINGS)] = []
    """In their order; the last one is everybody. Empty: as `[rollouts]` of the hub's settings says."""
    gates: Gates | None = None
    """None: as the settings say."""
    again: bool = False
    """Although a rollout went back from this version before."""


class Reason(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`POST /api/v1/rollouts/{id}/halt`, `/resume`, `/rollback`."""

    reason: Annotated[str, Meta(max_length=500)] = ""


class RolloutStatus(StrEnum):
    RUNNING = "running"
    HALTED = "halted"
    """By a person: no further ring opens. What was brought stays, and is watched."""
    ROLLED_BACK = "rolled back"
    """Every device is meant to serve the version before again."""
    DONE = "done"
    """Every device is meant to serve it."""


ACTIVE = (RolloutStatus.RUNNING, RolloutStatus.HALTED)


class RingState(StrEnum):
    PENDING = "pending"
    OPEN = "open"
    PASSED = "passed"
    FAILED = "failed"


class Verdict(StrEnum):
    PASSED = "passed"
    WAITING = "waiting"
    FAILED = "failed"


class Check(Struct, frozen=True, kw_only=True):
    """What a gate says now."""

    gate: str
    """A field of `Gates`."""
    verdict: Verdict
    text: str
    """With the figures, in words for people."""
    judged: bool = True
    """False: there was too little to judge by, and it is passed for want of evidence."""


class DeviceCounts(Struct, frozen=True, kw_only=True):
    """Of enrolled devices."""

    devices: int = 0
    serving: int = 0
    refused: int = 0
    rolled_back: int = 0
    silent: int = 0
    """Not heard of for two heartbeats, and neither of the three above."""

    @property
    def done(self) -> int:
        """With the version, one way or the other."""
        return self.serving + self.refused + self.rolled_back

    @property
    def reachable(self) -> int:
        return self.devices - self.silent

    def __add__(self, other: "DeviceCounts") -> "DeviceCounts":
        return DeviceCounts(
            devices=self.devices + other.devices,
            serving=self.serving + other.serving,
            refused=self.refused + other.refused,
            rolled_back=self.rolled_back + other.rolled_back,
            silent=self.silent + other.silent,
        )


class Figures(Struct, frozen=True, kw_only=True):
    """What devices have told of a version's answers, added up: each counts since its inference server has started."""

    answered: int = 0
    failed: int = 0
    """Calls that it could not compute."""
    median: float = 0.0
    """Seconds: of the devices' middle answers the middle one, each as often as it has answered; 0: nothing is told."""
    judged: int = 0
    """Answers whose truth became known."""
    correct: int = 0

    @property
    def calls(self) -> int:
        return self.answered + self.failed

    @property
    def told(self) -> bool:
        """Anything at all."""
        return bool(self.calls or self.judged)

    @property
    def error_rate(self) -> float:
        return self.failed / self.calls if self.calls else 0.0

    @property
    def accuracy(self) -> float:
        return self.correct / self.judged if self.judged else 0.0

    def since(self, earlier: "Figures") -> "Figures":
        """What has come since then; all of it when the counts have begun anew."""
        if self.answered < earlier.answered or self.failed < earlier.failed or self.judged < earlier.judged:
            return self
        return Figures(
            answered=self.answered - earlier.answered,
            failed=self.failed - earlier.failed,
            median=self.median if self.answered > earlier.answered else 0.0,
            judged=self.judged - earlier.judged,
            correct=max(0, self.correct - earlier.correct),
        )


def together(told: Sequence[Figures]) -> Figures:
    """Of several devices."""
    return Figures(
        answered=sum(each.answered for each in told),
        failed=sum(each.failed for each in told),
        median=_median([(each.median, each.answered) for each in told if each.median > 0]),
        judged=sum(each.judged for each in told),
        correct=sum(each.correct for each in told),
    )


def _median(weighted: list[tuple[float, int]]) -> float:
    """A device that hangs, or one that is quick for nobody, does not move it."""
    half, counted = sum(count for _, count in weighted) / 2, 0
    for value, count in sorted(weighted):
        counted += count
        if counted >= half and count:
            return value
    return 0.0


class RingProgress(Struct, frozen=True, kw_only=True):
    ring: Ring
    below: float
    """Its devices are those whose place, a hash of the rollout's and the device's ids, is below that."""
    state: RingState = RingState.PENDING
    why: str = ""
    """What it waits for, or why it failed."""
    opened_at: float | None = None
    soaking_since: float | None = None
    """When all gates were passed for the first time."""
    passed_at: float | None = None
    generation: int | None = None
    """Of what is wanted of the fleet, since the ring is open: what a device says of an earlier one is no answer."""
    counts: DeviceCounts = DeviceCounts()
    """Of its own devices, without those of the rings before."""


class StepKind(StrEnum):
    STARTED = "started"
    OPENED = "opened"
    """A ring."""
    PASSED = "passed"
    """A ring."""
    HALTED = "halted"
    RESUMED = "resumed"
    ROLLED_BACK = "rolled back"
    DONE = "done"


class Step(Struct, frozen=True, kw_only=True):
    at: float
    kind: StepKind
    ring: str = ""
    by: str = ""
    """A user; empty: the hub by itself."""
    reason: str = ""


class Rollout(Struct, frozen=True, kw_only=True):
    id: str
    """`rollout-` and 12 hexadecimal digits."""
    model: str
    version: int
    before: int | None
    """The version that devices were meant to serve so far, and go back to."""
    status: RolloutStatus
    reason: str
    """Why it was halted or rolled back."""
    rings: list[RingProgress]
    gates: Gates
    checks: list[Check]
    """Of the gates, over all open rings, at the last look."""
    figures: Figures
    """Of the version, on the devices of all open rings."""
    figures_before: Figures
    """Of the version before: on the same devices, or where too little is known of it there, on all."""
    started_at: float
    started_by: str
    """A user, or a run whose best version it brings."""
    looked_at: float | None
    """When figures last changed."""
    ended_at: float | None
    steps: list[Step]
    """What became of it, oldest first: the latest hundred."""

    @property
    def active(self) -> bool:
        return self.status in ACTIVE

    @property
    def opened(self) -> int:
        """Rings."""
        return sum(each.state is not RingState.PENDING for each in self.rings)


class Standing(StrEnum):
    """How far a rollout has come on a device."""

    WAITING = "waiting"
    """Its ring is not open yet."""
    BRINGING = "bringing"
    SERVING = "serving"
    REFUSED = "refused"
    ROLLED_BACK = "rolled back"
    SILENT = "silent"


class RingDevice(Struct, frozen=True, kw_only=True):
    device_id: DeviceId
    name: str
    ring: str
    """Its name."""
    standing: Standing
    serves: int | None
    """The version of this model that it reports."""
    reason: str
    """Why it has not brought it, as far as it says."""
    last_seen: float | None
