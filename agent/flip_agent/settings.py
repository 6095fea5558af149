"""The agent's configuration: `agent.toml` and `FLIP_SECTION__KEY`, loaded once."""

from pathlib import Path
from typing import Annotated

from msgspec import Meta, Struct

from flip_runtime.ranges import Count, LogLevel, Patience, Period, Port, Share

Value = bool | int | float | str


class AgentSection(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    state: Path = Path("/var/lib/flip")
    """Everything that must survive: key, identity, outbox, session, models."""
    runtime: Path | None = None
    """Sockets; by default `run` below `state`. A path of a socket may have at most 107 bytes."""
    heartbeat: Period = 30.0
    """Seconds between health events."""
    supervise: bool = True
    """Start `serve` and `train` as child processes; systemd does it where this is off."""
    package: Path | None = None
    """Where root's part of the Debian package keeps what it says of updates; none: this is no such package."""
    machine: Path = Path("/")
    """Where `sys` and `proc` of the machine lie: another folder in a container that is given them."""

    @property
    def sockets(self) -> Path:
        """Their folder."""
        return self.runtime or self.state / "run"

    @property
    def run_socket(self) -> Path:
        return self.sockets / "agent.sock"


class NetworkSection(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    daily_bytes: Annotated[int, Meta(ge=0, le=2**50)] = 0
    """Bytes that this device exchanges with its hub on one day (UTC) at most, telemetry, models and training together;
    0: as many as there are. Heartbeats alone take some 10 MB at their usual pace."""


class OutboxSection(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    max_bytes: Annotated[int, Meta(ge=2**20, le=2**40)] = 64 * 2**20
    """Of the file on disk; when it is full the lowest priority goes first, oldest first, alerts never."""


class InstanceSection(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One of several inference servers on this device."""

    port: Port
    models: list[str] = []
    """That it holds; left out: those that no other instance names."""


class InferenceSection(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    host: str = "127.0.0.1"
    port: Port = 8082
    grpc: bool = True
    """Also over gRPC, on `port` + 1000."""
    names: list[str] = []
    """Further Host names it answers to, without port, beside loopback's and the address itself."""
    token_file: Path | None = None
    """A secret that each request must show (`Authorization: Bearer TOKEN`); other interfaces than loopback need one."""
    certificate: Path | None = None
    """PEM, with the chain; with `private_key` it makes HTTP into HTTPS."""
    private_key: Path | None = None
    instances: dict[str, InstanceSection] = {}
    """Inference servers by name, each a process of its own; none: one, on `port`, with all models."""
    max_rows: Count = 64
    """Rows of one batch."""
    max_queue: Count = 512
    """Requests that may wait; one more is answered 429."""
    max_body: Annotated[int, Meta(ge=2**10, le=2**30)] = 16 * 2**20
    """Bytes of a request."""
    keep_alive: Annotated[float, Meta(ge=0, le=366 * 86400)] = 0.0
    """Seconds without requests after which a model's memory is given back until one comes; 0: never."""
    stale_after: Annotated[float, Meta(ge=0, le=366 * 86400)] = 0.0
    """Seconds after which a served version counts as old, and a condition says so; 0: never."""


class ModelsSection(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How model versions come to this device, and what they must show before they answer."""

    trusted_keys: list[str] | None = None
    """Public keys (lines of OpenSSH's format, `ssh-ed25519 AAAA...`) whose versions are served here, in place of the
    hub's that was learned at enrolment."""
    download_budget: Annotated[int, Meta(ge=0, le=2**50)] = 0
    """Bytes of model files that are downloaded on one day (UTC) at most, within `network.daily_bytes`; 0: no limit of
    their own."""
    shadow_within: Patience = 600.0
    """Seconds that a new version may be tried on live traffic before it takes over."""
    shadow_requests: Annotated[int, Meta(ge=0, le=65536)] = 0
    """Live requests that a new version must answer beside the old one before it takes over; 0: none."""
    watch: Annotated[float, Meta(ge=0, le=30 * 86400)] = 600.0
    """Seconds after a version has taken over in which it is compared with the version before; 0: not at all."""
    judged_by: Count = 50
    """The least number of requests, compared answers or feedbacks that a version is judged by."""
    max_error_rate: Share = 0.1
    """Of the requests that a version cannot compute, beyond what the version before could not; 1: any."""
    max_slowdown: Annotated[float, Meta(ge=0, le=1000)] = 3.0
    """How many times as long as with the version before the slowest hundredth of the requests may take; 0: any."""
    min_agreement: Share = 0.0
    """Share of live requests that must be answered as the version before does; 0: any."""
    min_accuracy: Share = 0.0
    """Share of right answers, by the newest feedback and labelled samples; 0: any."""


class SamplesSection(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What `serve` keeps of answers, and of what people say about them. It never leaves the device by itself."""

    predictions: Annotated[int, Meta(ge=0, le=10_000)] = 20
    """Most a second that are kept, so that feedback can be given to them; 0: none."""
    log_inputs: bool = False
    """Keep their inputs too: then feedback makes labelled samples of them."""
    max_age: Annotated[float, Meta(ge=60, le=100 * 366 * 86400)] = 30 * 86400.0
    """Seconds after which samples and predictions are removed."""
    max_bytes: Annotated[int, Meta(ge=2**20, le=2**40)] = 128 * 2**20
    """Of the file on disk, without its log of some MiB; when it is full the oldest go."""


class FederationSection(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    node_config: dict[str, Value] = {}
    """What apps find in `context.node_config`, for example where this device's data lies."""
    app_timeout: Annotated[float, Meta(ge=1, le=30 * 86400)] = 3600.0
    """Seconds one message may take in the ClientApp."""
    idle_exit: Period = 20.0
    """Seconds without work after which `flip-agent train` leaves."""
    lease: Annotated[float, Meta(ge=10, le=1800)] = 1800.0
    """Seconds; a device may be away for twice as long before Flower calls it offline."""
    attempts: Count = 3
    """How often the training of one message may be cut off together with `flip-agent train`."""
    secure_least: Annotated[int, Meta(ge=3, le=2**16)] = 3
    """Devices, this one among them, with fewer of which it takes no part in a round of secure aggregation: the hub must
    promise a sum of so many (`plan.secure.least`), and this device mask with one fewer. Of three, two that tell each
    other their updates know the third's."""
    trusted_app_keys: list[str] | None = None
    """Public keys (lines of OpenSSH's format, `ssh-ed25519 AAAA...`) whose apps run here, in place of those that the
    hub named at enrolment: fewer, or others that the hub does not know."""


class GovernorSection(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """When training waits on this device, and pauses. Of each limit 0 means: never for that reason."""

    battery_min: Annotated[float, Meta(ge=0, le=100)] = 30.0
    """Percent, while the battery discharges; training goes on 10 percent above."""
    temperature_max: Annotated[float, Meta(ge=0, le=200)] = 80.0
    """Degrees Celsius of the hottest sensor; it goes on 10 degrees below. Small boards slow down at 80."""
    load_max: Annotated[float, Meta(ge=0, le=1000)] = 8.0
    """Processes that run or wait, per core, over one minute, training included; it goes on at three quarters."""
    disk_min: Annotated[int, Meta(ge=0, le=2**50)] = 512 * 2**20
    """Free bytes on the disk of agent.state; it goes on at one and a half times as many."""
    metered: tuple[str, ...] = ("wwan*",)
    """Network interfaces whose traffic costs money: training waits while the default route leaves by one of them."""
    inference_p99_max: Patience = 0.5
    """Seconds that the slowest hundredth of local inference requests takes; it goes on at half of that."""
    settle: Patience = 60.0
    """Seconds that a reason must be gone before training goes on, so that it does not start and stop all the time."""
    every: Period = 10.0
    """Seconds between two looks."""


class LogsSection(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    json: bool = False
    level: LogLevel = "info"


class Settings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    agent: AgentSection = AgentSection()
    outbox: OutboxSection = OutboxSection()
    inference: InferenceSection = InferenceSection()
    models: ModelsSection = ModelsSection()
    network: NetworkSection = NetworkSection()
    samples: SamplesSection = SamplesSection()
    federation: FederationSection = FederationSection()
    governor: GovernorSection = GovernorSection()
    logs: LogsSection = LogsSection()
