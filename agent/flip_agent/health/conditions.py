"""Every unhealthy condition of a device, declared once; and which of those that hold people are told of.

A condition that another one explains is not told beside it: without a hub, no new model comes either.
"""

from collections.abc import Mapping

from msgspec import Struct

from flip_wire.health import Condition, Severity


class Declaration(Struct, frozen=True, kw_only=True):
    code: str
    subject: str
    """What is looked at, for a list of checks."""
    title: str
    severity: Severity
    hint: str
    """The way out, for people."""
    visible_after: float = 0.0
    """Seconds that it must hold before anybody is told."""
    depends_on: tuple[str, ...] = ()
    """Codes of conditions that explain this one."""


SAFE_MODE = Declaration(
    code="safe-mode",
    subject="mode",
    title="The agent runs with less than everything",
    severity=Severity.CRITICAL,
    hint="the log says why it failed; it tries the rest again by itself, or at once when it is restarted",
)
CONFIG_REFUSED = Declaration(
    code="config-refused",
    subject="configuration",
    title="The changed configuration is refused",
    severity=Severity.WARNING,
    hint="the earlier one goes on; correct the file, then reload again",
)
DISK_LOW = Declaration(
    code="disk-low",
    subject="disk",
    title="Disk almost full",
    severity=Severity.CRITICAL,
    hint="make room on the disk of agent.state",
)
INODES_LOW = Declaration(
    code="inodes-low",
    subject="inodes",
    title="The file system can hold hardly any more files",
    severity=Severity.CRITICAL,
    hint="remove files from the disk of agent.state",
)
DATABASE_DAMAGED = Declaration(
    code="database-damaged",
    subject="outbox",
    title="A database file is damaged",
    severity=Severity.CRITICAL,
    hint="it is moved aside and begun anew by itself; check the disk",
)
TEMPERATURE_HIGH = Declaration(
    code="temperature-high",
    subject="temperature",
    title="The device is hot",
    severity=Severity.WARNING,
    hint="cool it; training waits above governor.temperature_max",
    visible_after=30.0,
)
MEMORY_LOW = Declaration(
    code="memory-low",
    subject="memory",
    title="Memory almost used up",
    severity=Severity.WARNING,
    hint="look for what uses it, for example with: systemd-cgtop -m",
    visible_after=30.0,
)
CLOCK_SKEW = Declaration(
    code="clock-skew",
    subject="clock",
    title="Clock differs from the hub's",
    severity=Severity.WARNING,
    hint="set it, or switch on time synchronisation; signatures use the hub's time meanwhile",
)
HUB_UNREACHABLE = Declaration(
    code="hub-unreachable",
    subject="hub",
    title="Hub unreachable",
    severity=Severity.WARNING,
    hint="flip-agent doctor looks for the reason",
    visible_after=60.0,  # a hub that is upgraded is away for half a minute
)
SERVE_FAILS = Declaration(
    code="serve-fails",
    subject="serve",
    title="Inference server keeps failing",
    severity=Severity.WARNING,
    hint="logs/serve.log in the state folder says more; once corrected: systemctl reload flip-agent, or SIGHUP",
    depends_on=(SAFE_MODE.code,),
)
TRAIN_FAILS = Declaration(
    code="train-fails",
    subject="train",
    title="Training keeps failing",
    severity=Severity.WARNING,
    hint="logs/train.log in the state folder says more; once corrected: systemctl reload flip-agent, or SIGHUP",
    depends_on=(SAFE_MODE.code,),
)
INFERENCE_DOWN = Declaration(
    code="inference-down",
    subject="inference",
    title="Inference server not running",
    severity=Severity.WARNING,
    hint="logs/serve.log in the state folder says why",
    visible_after=30.0,
    depends_on=(SAFE_MODE.code, SERVE_FAILS.code),
)
ROLLOUT_FAILED = Declaration(
    code="rollout-failed",
    subject="rollout",
    title="Rollout failed",
    severity=Severity.WARNING,
    hint="the earlier version goes on answering",
)
MODEL_STALE = Declaration(
    code="model-stale",
    subject="model",
    title="Not the model that is wanted",
    severity=Severity.WARNING,
    hint="flip-agent status says what is served and what was refused",
    visible_after=900.0,  # a large model on a mobile link takes ten minutes
    depends_on=(SAFE_MODE.code, HUB_UNREACHABLE.code, INFERENCE_DOWN.code, ROLLOUT_FAILED.code, DISK_LOW.code),
)
PARTS_REFUSED = Declaration(
    code="parts-refused",
    subject="parts",
    title="A model answers without this device's own parts",
    severity=Severity.WARNING,
    hint="the version's answer in their place; the next training of that run writes them anew",
)
DATA_MISSING = Declaration(
    code="data-missing",
    subject="data",
    title="Training data cannot be read",
    severity=Severity.WARNING,
    hint='check "data" in federation.node_config, and the owner of that path',
)
TRAINING_HELD = Declaration(
    code="training-held",
    subject="training",
    title="Training waits",
    severity=Severity.INFO,
    hint="it goes on by itself; the limits are in section [governor]",
    depends_on=(SAFE_MODE.code, TRAIN_FAILS.code),
)
NETWORK_USED_UP = Declaration(
    code="network-used-up",
    subject="network",
    title="The day's byte budget is used up",
    severity=Severity.INFO,
    hint="alerts and rare heartbeats still go, nothing is lost; network.daily_bytes is the limit",
)

DECLARED = (
    *(SAFE_MODE, CONFIG_REFUSED, DISK_LOW, INODES_LOW, DATABASE_DAMAGED, TEMPERATURE_HIGH, MEMORY_LOW, CLOCK_SKEW),
    *(HUB_UNREACHABLE, SERVE_FAILS, TRAIN_FAILS, INFERENCE_DOWN, ROLLOUT_FAILED, MODEL_STALE, PARTS_REFUSED),
    *(DATA_MISSING, TRAINING_HELD, NETWORK_USED_UP),
)


class Since(Struct, frozen=True):
    """When a condition began, by the wall clock, and by one that nobody sets."""

    wall: float
    monotonic: float


class Conditions:
    """Remembers since when each holds."""

    def __init__(self) -> None:
        self._since: dict[str, Since] = {}

    def update(self, found: Mapping[Declaration, str], now: Since) -> list[Condition]:
        """`found` says in words what is wrong. Gives those that have held long enough and are not explained."""
        holding = {declaration.code for declaration in found}
        self._since = {code: self._since.get(code, now) for code in holding}
        return [
            self._condition(declaration, text)
            for declaration, text in found.items()
            if now.monotonic - self._since[declaration.code].monotonic >= declaration.visible_after
            and holding.isdisjoint(declaration.depends_on)
        ]

    def _condition(self, declaration: Declaration, text: str) -> Condition:
        return Condition(
            code=declaration.code,
            title=declaration.title,
            severity=declaration.severity,
            text=f"{text} ({declaration.hint})",
            since=self._since[declaration.code].wall,
        )
