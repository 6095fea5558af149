"""The local protocol: what `serve`, `train` and the command line say to `flip-agent run` over its Unix socket.

One connection, messages both ways, each one JSON object on a line of at most 1 MiB. A process begins with `Hello`.
`run` alone writes the outbox: an `Emit` is answered by `Committed` once it is durable.
"""

from msgspec import Raw, Struct

from flip_agent.receipts import KeptReceipt
from flip_wire.fleet import ReportedState
from flip_wire.health import HealthReport, Repair
from flip_wire.inference import ModelTraffic
from flip_wire.models import LocalParts, Sha256
from flip_wire.telemetry import Priority

LINE_LIMIT = 2**20
"""Bytes of one message."""


class Hello(Struct, frozen=True, kw_only=True, tag=True):
    role: str
    """`serve`, `train` or `cli`."""
    instance: str = "default"
    """Of `serve`: which of them it is."""


class Emit(Struct, frozen=True, kw_only=True, tag=True):
    """An event for the outbox; `id` numbers it on this connection."""

    id: int
    priority: Priority
    kind: str
    body: Raw
    once: str = ""
    """Names the event beyond this connection: of two with the same name the second is committed without effect."""


class Committed(Struct, frozen=True, kw_only=True, tag=True):
    id: int


class Training(Struct, frozen=True, kw_only=True, tag=True):
    """From `train`: `idle`, `waiting`, `training`, `held` or `delivering`."""

    state: str


class ReceiptsKept(Struct, frozen=True, kw_only=True, tag=True):
    """From `train`: the newest after `Hello`, and each when its fate is known."""

    receipts: list[KeptReceipt]


class Prepare(Struct, frozen=True, kw_only=True, tag=True):
    """To `serve`: build the version from the store and compare its probe; goes on serving the earlier one."""

    model: str
    version: int
    manifest: Sha256


class Prepared(Struct, frozen=True, kw_only=True, tag=True):
    """From `serve`; `reason` is empty when the version may be activated."""

    model: str
    version: int
    reason: str


class Activate(Struct, frozen=True, kw_only=True, tag=True):
    """To `serve`: from the next request on, answer with this prepared version."""

    model: str
    version: int


class Serving(Struct, frozen=True, kw_only=True, tag=True):
    """From `serve`, whenever what it serves has changed, and after `Hello`."""

    model: str
    version: int
    since: float
    url: str
    local: LocalParts | None = None
    """As in `ServingModel`."""


class Try(Struct, frozen=True, kw_only=True, tag=True):
    """To `serve`, after `Prepared`: may this version take over? It is compared for as long as the settings say."""

    model: str
    version: int


class Tried(Struct, frozen=True, kw_only=True, tag=True):
    """From `serve`; `reason` is empty when the version may be activated, `detail` says what was compared."""

    model: str
    version: int
    reason: str
    detail: str = ""


class RolledBack(Struct, frozen=True, kw_only=True, tag=True):
    """From `serve`, on each connection until it is answered: it went back to the version before, for that reason."""

    model: str
    version: int
    manifest: Sha256
    """Of the version that is given up."""
    to_version: int
    reason: str
    at: float


class RollbackKept(Struct, frozen=True, kw_only=True, tag=True):
    """To `serve`: it is durable, and the hub will hear of it."""

    manifest: Sha256


class Work(Struct, frozen=True, kw_only=True, tag=True):
    """To `train`: the runs that may send messages; an empty list lets it leave once it has delivered."""

    run_ids: list[str]


class Draw(Struct, frozen=True, kw_only=True, tag=True):
    """From `train`: may it exchange so many bytes with the hub? They count as soon as they are granted."""

    id: int
    wanted: int
    beyond: int = 0
    """That have passed since the last grant, and were not in it."""


class Drawn(Struct, frozen=True, kw_only=True, tag=True):
    """To `train`, the answer to a `Draw`."""

    id: int
    granted: int
    because: str
    """Why nothing is granted today, in words; else empty."""
    limited: bool
    """Whether there is a limit at all."""


class GiveBack(Struct, frozen=True, kw_only=True, tag=True):
    """From `train`, before it leaves: so many of the bytes that it drew were not needed."""

    unused: int


class Hold(Struct, frozen=True, kw_only=True, tag=True):
    """To `train`, after `Hello` and on change: why training must wait now, in words; empty when it may run."""

    because: str


class Traffic(Struct, frozen=True, kw_only=True, tag=True):
    """From `serve`, every few seconds while there is something new: what it has answered."""

    p99: float | None
    """Seconds that the slowest hundredth of the requests since the last message took; None when they were too few."""
    requests: int
    models: list[ModelTraffic]
    samples_lost: dict[str, int] = {}
    """As in `HealthReport`."""


class Mend(Struct, frozen=True, kw_only=True, tag=True):
    """From the command line: repair now what can be repaired."""


class Mended(Struct, frozen=True, kw_only=True, tag=True):
    repairs: list[Repair]


class Rollback(Struct, frozen=True, kw_only=True, tag=True):
    """From the command line: back to the version before. An empty name stands for the only model."""

    model: str
    reason: str


class RollbackDone(Struct, frozen=True, kw_only=True, tag=True):
    model: str
    from_version: int
    to_version: int
    detail: str
    """What is still to come; empty when the earlier version answers."""


class Retry(Struct, frozen=True, kw_only=True, tag=True):
    """From the command line: what was refused may be brought again, of this model or, without a name, of all."""

    model: str


class RefusedVersion(Struct, frozen=True, kw_only=True):
    model: str
    version: int
    reason: str
    at: float


class RetryDone(Struct, frozen=True, kw_only=True, tag=True):
    versions: list[RefusedVersion]


class ModelsRequest(Struct, frozen=True, kw_only=True, tag=True):
    """From the command line."""


class KeptModel(Struct, frozen=True, kw_only=True):
    """Versions of one model by their numbers, as far as there are any."""

    model: str
    active: int | None
    previous: int | None
    wanted: int | None
    """By the hub."""
    refused: list[RefusedVersion]
    local: LocalParts | None = None
    """What `serve` answers with in the place of the local parts; None where the version that answers has none."""


class Models(Struct, frozen=True, kw_only=True, tag=True):
    models: list[KeptModel]


class Declined(Struct, frozen=True, kw_only=True, tag=True):
    """To the command line: it was not done, and why."""

    reason: str
    hint: str


class StatusRequest(Struct, frozen=True, kw_only=True, tag=True):
    """From the command line."""


class ReceiptsRequest(Struct, frozen=True, kw_only=True, tag=True):
    """From the command line."""


class Receipts(Struct, frozen=True, kw_only=True, tag=True):
    receipts: list[KeptReceipt]
    """The newest first."""


class Status(Struct, frozen=True, kw_only=True, tag=True):
    device_id: str | None
    name: str
    hub: str
    hub_connected: bool
    hub_detail: str
    """Since when, or what is wrong."""
    reported: ReportedState
    health: HealthReport
    repairs: list[Repair] = []
    """The latest since the agent started, newest last."""


ToRun = (
    Hello
    | Emit
    | Training
    | ReceiptsKept
    | Draw
    | GiveBack
    | Prepared
    | Tried
    | Serving
    | RolledBack
    | Traffic
    | Rollback
    | Retry
    | ModelsRequest
    | Mend
    | ReceiptsRequest
    | StatusRequest
)
FromRun = (
    Committed
    | Prepare
    | Try
    | Activate
    | RollbackKept
    | Work
    | Hold
    | Drawn
    | RollbackDone
    | RetryDone
    | Models
    | Declined
    | Mended
    | Receipts
    | Status
)
