"""Every unhealthy condition of a device, declared once, and the pure judgement of which of them hold."""

from msgspec import Struct

from flip_wire.fleet import RolloutFailure
from flip_wire.health import Condition, Severity


class Declaration(Struct, frozen=True, kw_only=True):
    code: str
    title: str
    severity: Severity
    visible_after: float = 0.0
    """Seconds that it must hold before anybody is told."""


DISK_LOW = Declaration(code="disk-low", title="Disk almost full", severity=Severity.CRITICAL)
HUB_UNREACHABLE = Declaration(
    # a hub that is upgraded is away for half a minute
    code="hub-unreachable",
    title="Hub unreachable",
    severity=Severity.WARNING,
    visible_after=60.0,
)
CLOCK_SKEW = Declaration(code="clock-skew", title="Clock differs from the hub's", severity=Severity.WARNING)
INFERENCE_DOWN = Declaration(
    code="inference-down", title="Inference server not running", severity=Severity.WARNING, visible_after=30.0
)
ROLLOUT_FAILED = Declaration(code="rollout-failed", title="Rollout failed", severity=Severity.WARNING)

DISK_RESERVE = 256 * 2**20
"""Bytes: room for the outbox at its largest, a session and a model."""
CLOCK_TOLERANCE = 5.0
"""Seconds: a Flower signature from further ahead is refused."""


class Facts(Struct, frozen=True, kw_only=True):
    disk_free: int
    hub_trouble: str
    """Empty while the hub answers."""
    clock_offset: float
    inference_connected: bool
    failures: list[RolloutFailure]


def judge(facts: Facts) -> dict[str, tuple[Declaration, str]]:
    """What holds, by code, with a text for people."""
    found: list[tuple[Declaration, str]] = []
    if facts.disk_free < DISK_RESERVE:
        found.append((DISK_LOW, f"{facts.disk_free // 2**20} MiB free where the agent keeps its state"))
    if facts.hub_trouble:
        found.append((HUB_UNREACHABLE, facts.hub_trouble))
    if abs(facts.clock_offset) > CLOCK_TOLERANCE:
        direction = "behind" if facts.clock_offset > 0 else "ahead"
        found.append((CLOCK_SKEW, f"this clock is {abs(facts.clock_offset):.0f} s {direction}"))
    if not facts.inference_connected:
        found.append((INFERENCE_DOWN, "flip-agent serve is not connected; logs/serve.log in the state folder says why"))
    if facts.failures:
        texts = [f"{failure.model} version {failure.version}: {failure.reason}" for failure in facts.failures]
        found.append((ROLLOUT_FAILED, "; ".join(texts)))
    return {declaration.code: (declaration, text) for declaration, text in found}


class Conditions:
    """Remembers since when each holds."""

    def __init__(self) -> None:
        self._since: dict[str, float] = {}

    def update(self, facts: Facts, now: float) -> list[Condition]:
        """Those that have held long enough to be told."""
        found = judge(facts)
        self._since = {code: self._since.get(code, now) for code in found}
        return [
            Condition(
                code=code,
                title=declaration.title,
                severity=declaration.severity,
                text=text,
                since=self._since[code],
            )
            for code, (declaration, text) in found.items()
            if now - self._since[code] >= declaration.visible_after
        ]
