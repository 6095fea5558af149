"""May training run now? It waits for battery, heat, load, disk, a metered link, local inference and the day's byte
budget, and says why.

A reason holds training from its limit on, until it has been better than a second, milder limit for a while. The
decision is `judge`; around it a loop looks, tells `train` (through the local server) and the hub.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping
from fnmatch import fnmatch
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from flip_agent.health.checks.disk import free_bytes
from flip_agent.health.hardware import Hardware
from flip_agent.reported import Reported
from flip_agent.settings import GovernorSection
from flip_agent.watched import Watched

log = logging.getLogger(__name__)

MIB = 2**20


class Readings(Struct, frozen=True, kw_only=True):
    """None: there is no such thing here."""

    battery: float | None = None
    """Percent while it discharges."""
    temperature: float | None = None
    load: float | None = None
    """Per core."""
    disk_free: float | None = None
    """Bytes."""
    interface: str | None = None
    """Of the default route."""
    p99: float | None = None
    used_up: str = ""
    """Why no more bytes may pass today; empty while they may."""


class Held(Struct, frozen=True):
    because: str
    calm_since: float | None = None
    """When the reading was first good enough to go on."""


class Rule(Struct, frozen=True):
    """Holds while `wrong` says why; afterwards until `calm` for long enough."""

    name: str
    wrong: Callable[[Readings], str]
    calm: Callable[[Readings], bool]


def rules(limits: GovernorSection) -> list[Rule]:
    return [
        _low("battery", limits.battery_min, limits.battery_min + 10, lambda now: now.battery, "battery at {:.0f} %"),
        _high("heat", limits.temperature_max, limits.temperature_max - 10, lambda now: now.temperature, "{:.0f} °C"),
        _high("load", limits.load_max, 0.75 * limits.load_max, lambda now: now.load, "load of {:.1f} per core"),
        _low("disk", limits.disk_min / MIB, 1.5 * limits.disk_min / MIB, _mib_free, "{:.0f} MiB free on the disk"),
        _metered(limits.metered),
        _high(
            *("inference", limits.inference_p99_max, 0.5 * limits.inference_p99_max),
            *(lambda now: now.p99, "local inference takes {:.2f} s (p99)"),
        ),
        Rule("network", lambda now: now.used_up, lambda now: not now.used_up),
    ]


def judge(rules: list[Rule], now: Readings, held: Mapping[str, Held], *, at: float, settle: float) -> dict[str, Held]:
    """What holds training, by name of the rule. `at` is a monotonic time; the words are those it began with."""
    holding: dict[str, Held] = {}
    for rule in rules:
        before = held.get(rule.name)
        if because := rule.wrong(now):
            holding[rule.name] = Held(because) if before is None else replace(before, calm_since=None)
        elif before is not None and not rule.calm(now):
            holding[rule.name] = replace(before, calm_since=None)
        elif before is not None:
            calm_since = at if before.calm_since is None else before.calm_since
            if at - calm_since < settle:
                holding[rule.name] = replace(before, calm_since=calm_since)
    return holding


class Governor:
    def __init__(
        self,
        state: Path,
        hardware: Hardware,
        limits: Watched[GovernorSection],
        reported: Reported,
        p99: Callable[[], float | None],
        used_up: Callable[[], str] = str,
    ) -> None:
        """`used_up` as in `Readings`."""
        self._state = state
        self._hardware = hardware
        self._limits = limits
        self._p99 = p99
        self._used_up = used_up
        self._reported = reported
        self.because = Watched("")
        """Why training waits now; empty when it may run."""

    async def run(self) -> None:
        held: dict[str, Held] = {}
        loop = asyncio.get_running_loop()
        try:
            while True:
                limits, now = self._limits.value, self._read()
                held = judge(rules(limits), now, held, at=loop.time(), settle=limits.settle)
                self._reported.powered(on_battery=now.battery is not None, metered=is_metered(now, limits.metered))
                self._tell("; ".join(each.because for each in held.values()))
                await asyncio.sleep(limits.every)
        finally:
            self._tell("")

    def _read(self) -> Readings:
        battery = self._hardware.battery()
        return Readings(
            battery=battery.percent if battery is not None and battery.discharging else None,
            temperature=self._hardware.temperature(),
            load=self._hardware.load_per_core(),
            disk_free=free_bytes(self._state),
            interface=self._hardware.default_interface() or None,
            p99=self._p99(),
            used_up=self._used_up(),
        )

    def _tell(self, because: str) -> None:
        if because == self.because.value:
            return
        if because:
            log.info("training waits", extra={"because": because})
        else:
            log.info("training may run")
        self.because.set(because)
        self._reported.held(by="governor", because=because)


def _mib_free(now: Readings) -> float | None:
    return None if now.disk_free is None else now.disk_free / MIB


def _high(name: str, hold_at: float, calm_at: float, read: Callable[[Readings], float | None], words: str) -> Rule:
    def wrong(now: Readings) -> str:
        value = read(now)
        over = hold_at > 0 and value is not None and value >= hold_at
        return f"{words.format(value)}, limit {hold_at:g}" if over else ""

    def calm(now: Readings) -> bool:
        value = read(now)
        return hold_at <= 0 or value is None or value <= calm_at

    return Rule(name, wrong, calm)


def _low(name: str, hold_at: float, calm_at: float, read: Callable[[Readings], float | None], words: str) -> Rule:
    def wrong(now: Readings) -> str:
        value = read(now)
        under = value is not None and value < hold_at
        return f"{words.format(value)}, at least {hold_at:g} wanted" if under else ""

    def calm(now: Readings) -> bool:
        value = read(now)
        return hold_at <= 0 or value is None or value >= calm_at

    return Rule(name, wrong, calm)


def _metered(patterns: tuple[str, ...]) -> Rule:
    def wrong(now: Readings) -> str:
        return f"the network is metered ({now.interface})" if is_metered(now, patterns) else ""

    return Rule("metered", wrong, lambda now: not wrong(now))


def is_metered(now: Readings, patterns: tuple[str, ...]) -> bool:
    return now.interface is not None and any(fnmatch(now.interface, pattern) for pattern in patterns)
