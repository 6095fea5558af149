"""Runs and rounds as the API shows them, and what the ServerApp's process reports about itself."""

from enum import StrEnum

from msgspec import Struct, field

from flip_hub.devices.schemas import Absence
from flip_hub.federation.plan import Plan, Value
from flip_hub.federation.privacy.schemas import PrivacySpent
from flip_wire.fleet import DeviceId
from flip_wire.models import Manifest, Sha256
from flip_wire.statements import Signed


class RunRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`POST /api/v1/runs`."""

    fab_hash: Sha256
    config: dict[str, Value] = {}
    """Overrides of the app's configuration; a key the app does not have is refused."""
    promote: str = "best"
    """`best`: when the run ends, its best deployable version becomes what devices serve; `none`: nobody's choice."""
    metric: str = "accuracy"
    """Which evaluation metric decides what is best; higher is better, except for names that end in `loss`."""
    plan: Plan = field(default_factory=Plan)


class RunStatus(StrEnum):
    PENDING = "pending"
    RUNNING = "running"
    PAUSED = "paused"
    FINISHED = "finished"
    FAILED = "failed"
    STOPPED = "stopped"


class Run(Struct, frozen=True, kw_only=True):
    id: str
    """`run-` and 12 hexadecimal digits; Flower's own number is `flower_run_id`."""
    flower_run_id: str
    app: str
    """NAME VERSION."""
    fab_hash: Sha256
    status: RunStatus
    reason: str
    """Why it failed, or while it runs what it waits for, in words for people; empty otherwise."""
    config: dict[str, Value]
    promote: str
    metric: str
    plan: Plan = field(default_factory=Plan)
    strategy: str
    """Class name, known once the ServerApp has started it."""
    rounds: int | None
    """How many are planned; unknown before the strategy starts, or for ever in an app that loops by itself."""
    wants: int | None = None
    """Devices that the strategy waits for before each round, where it says so (`min_available_nodes`)."""
    round: int
    """The current or last one; 0 before the first."""
    started_at: float
    finished_at: float | None
    eta: float | None
    """Seconds to the end, from the mean of the rounds so far."""
    promoted_version: int | None
    rollout: str = ""
    """That brings its best version to the fleet, where the hub's settings name rings."""
    warning: str
    """For example that the app names no export entry point, so that its model cannot be served."""
    started_by: str = ""
    """A user; empty for a run of before users were noted."""
    traceparent: str = ""
    """W3C trace context of the call that started it: rounds and what devices do for the run belong to that trace."""
    seed: int = 0
    """The plan's, or one that was drawn."""
    weights: Sha256 = Sha256("")
    """That the plan wants to start from; empty when it does not name a model."""
    earlier: list[str] = []
    """Flower's numbers of this run before `flower_run_id`, oldest first: it went on after its ServerApp or SuperLink
    had died, or after a pause."""
    tries: int = 0
    """How often it went on since the last round was finished."""
    privacy: PrivacySpent | None = None
    """Of a run whose plan asks for privacy."""

    @property
    def numbers(self) -> list[str]:
        """All that Flower gave it, oldest first."""
        return [number for number in (*self.earlier, self.flower_run_id) if number]


class Phase(StrEnum):
    TRAIN = "train"
    EVALUATE = "evaluate"


class RoundFailure(Struct, frozen=True, kw_only=True):
    device_id: DeviceId | None
    phase: Phase
    reason: str


class Round(Struct, frozen=True, kw_only=True):
    run_id: str
    round: int
    started_at: float
    finished_at: float | None
    sampled: list[DeviceId]
    answered: list[DeviceId]
    failures: list[RoundFailure]
    train_metrics: dict[str, float]
    evaluate_metrics: dict[str, float]
    """Aggregated by the strategy; from the devices, and where the app evaluates on the hub, from there with the
    prefix `hub-`."""
    version: int | None
    """Of the model that this round made, once registered."""
    void: str = ""
    """Why its training changed nothing, in words for people; empty when it did."""


class Absent(Struct, frozen=True, kw_only=True):
    """An enrolled device that a run cannot count on now."""

    device_id: DeviceId
    name: str
    why: Absence
    detail: str
    """What holds its training, in words for people; empty otherwise."""
    last_seen: float | None


class Turnout(Struct, frozen=True, kw_only=True):
    able: int
    """Enrolled devices that take part, or can be woken to."""
    absent: list[Absent]
    """Of the enrolled and not revoked, by name; the first twenty."""
    others: int
    """How many more are absent."""


class RunDetail(Struct, frozen=True, kw_only=True):
    run: Run
    rounds: list[Round]
    turnout: Turnout | None = None
    """Whom the run can count on now; None once it has ended."""


# ---- what the ServerApp's process reports (POST /internal/v1/runs/{flower_run_id}/reports) ------------------------


class Candidate(Struct, frozen=True, kw_only=True):
    """A device that would not begin to train if a run were started now."""

    device_id: DeviceId
    name: str
    barred: str
    """Why the device filter leaves it out, in words for people; empty where it does not."""
    absence: Absence | None
    """Why it could not be woken."""


class Candidates(Struct, frozen=True, kw_only=True):
    """Whom a run could count on, by its device filter and by how the devices are now."""

    able: int
    """Would begin to train."""
    absent: int
    """Would take part once they come, and train then."""
    barred: int
    """Are left out by the filter."""
    others: list[Candidate]
    """Absent ones first, then those that are left out; at most 200."""


class StrategyStarted(Struct, frozen=True, kw_only=True, tag=True):
    strategy: str
    rounds: int
    wants: int | None = None
    """Nodes without which it begins no round."""


class MessagesPushed(Struct, frozen=True, kw_only=True, tag=True):
    """Instructions wait for these nodes: the gateway wakes their long polls."""

    round: int
    phase: str
    """Flower's message type before the first dot: `train`, `evaluate`, `query`, ..."""
    nodes: list[str]
    messages: list[str] = []
    """Their ids, in the order of `nodes`: the SHA-256 that devices know them by."""


class ReplyContent(Struct, frozen=True, kw_only=True):
    """What a device has sent."""

    sha256: str
    """Flower's name of the reply: SHA-256 over its head and the hashes of all that it consists of."""
    size: int
    """Bytes of its arrays."""
    weight: float | None
    """On how many examples it stands (`num-examples`), where it says so: what strategies weigh it by."""
    signed: Signed | None = None
    """What the device has signed of it; None where its signature is not the device's, or it signs nothing."""
    key: str = ""
    """PEM of the key that it is signed with."""


class ReplyReceived(Struct, frozen=True, kw_only=True, tag=True):
    round: int
    phase: str
    node: str
    error: str
    """Empty when the reply carries content."""
    message: str = ""
    """Id of the instruction that the device answered; empty when Flower answered in its place."""
    content: ReplyContent | None = None


class RepliesMissed(Struct, frozen=True, kw_only=True, tag=True):
    """The ServerApp no longer waits for the replies to these instructions."""

    messages: list[str]
    reason: str
    """In words for people."""


class RepliesTaken(Struct, frozen=True, kw_only=True, tag=True):
    """What came of the replies to these instructions is on the hub's disk: their devices may forget them."""

    messages: list[str]
    weights: dict[str, float] = {}
    """Of those whose share in the aggregate is known, by message."""
    round: int = 0
    """Whose result they are in, which is a later one than they were asked in where they are folded in, or a step that
    waits for nobody; 0 where it is not told."""


class ReplyRefused(Struct, frozen=True, kw_only=True, tag=True):
    """The strategy was not given this reply."""

    round: int
    phase: str
    node: str
    message: str
    reason: str
    """In words for people."""


class RoundFinished(Struct, frozen=True, kw_only=True, tag=True):
    round: int
    train_metrics: dict[str, float]
    evaluate_metrics: dict[str, float]
    void: str = ""
    """Why its training changed nothing; empty when it did."""


class Released(Struct, frozen=True, kw_only=True, tag=True):
    """A private run's account; a checkpoint holds it."""

    privacy: PrivacySpent


class VersionMade(Struct, frozen=True, kw_only=True, tag=True):
    """The global model of a round; its files were stored before, its `version` number is given by the hub.

    When the exporter failed, `manifest` has no graph and `warning` says why.
    """

    manifest: Manifest
    warning: str


RunReport = (
    StrategyStarted
    | MessagesPushed
    | ReplyReceived
    | ReplyRefused
    | RepliesTaken
    | RepliesMissed
    | RoundFinished
    | Released
    | VersionMade
)
