"""What the kernel tells of the machine: heat, battery, load, memory, network. A reading that is not there is None."""

import os
from collections.abc import Iterator
from pathlib import Path

from msgspec import Struct

_PLAUSIBLE = range(-40_000, 150_000)
"""Thousandths of a degree; sensors that are not connected tell anything."""
_ROUTE_UP = 0x1


class Battery(Struct, frozen=True):
    percent: float
    discharging: bool


class Hardware:
    """`root` is where `sys` and `proc` lie: another folder in a container that is given the machine's, or in a test."""

    def __init__(self, root: Path = Path("/")) -> None:
        self._thermal = root / "sys/class/thermal"
        self._power = root / "sys/class/power_supply"
        self._proc = root / "proc"

    def temperature(self) -> float | None:
        """Of the hottest sensor, in degrees Celsius."""
        readings = (_number(path) for path in self._thermal.glob("thermal_zone*/temp"))
        plausible = [reading for reading in readings if reading is not None and int(reading) in _PLAUSIBLE]
        return max(plausible) / 1000 if plausible else None

    def battery(self) -> Battery | None:
        """The emptiest that feeds the machine (`scope` is `Device` for one in a mouse)."""
        batteries = list(self._batteries())
        return min(batteries, key=lambda battery: battery.percent) if batteries else None

    def _batteries(self) -> Iterator[Battery]:
        for supply in self._power.glob("*"):
            percent = _number(supply / "capacity")
            if _text(supply / "type") == "Battery" and _text(supply / "scope") != "Device" and percent is not None:
                yield Battery(percent=percent, discharging=_text(supply / "status") == "Discharging")

    def load(self) -> float | None:
        """Processes that run or wait to, over the last minute."""
        words = _text(self._proc / "loadavg").split()
        return float(words[0]) if words else None

    def load_per_core(self) -> float | None:
        load = self.load()
        return None if load is None else load / (os.cpu_count() or 1)

    def memory(self) -> tuple[int, int] | None:
        """Bytes that can still be given out, and all there are."""
        lines = (line.split() for line in _text(self._proc / "meminfo").splitlines())
        sizes = {words[0]: int(words[1]) * 1024 for words in lines if len(words) > 1}
        if "MemAvailable:" not in sizes or "MemTotal:" not in sizes:
            return None
        return sizes["MemAvailable:"], sizes["MemTotal:"]

    def default_interface(self) -> str:
        """Through which packets leave for the internet; empty without one."""
        lines = (line.split() for line in _text(self._proc / "net/route").splitlines()[1:])
        routes = [
            (int(words[6]), words[0])
            for words in lines
            if len(words) > 7 and words[1] == words[7] == "00000000" and int(words[3], 16) & _ROUTE_UP
        ]
        return min(routes)[1] if routes else ""


def _text(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:
        return ""


def _number(path: Path) -> float | None:
    try:
        return float(_text(path))
    except ValueError:
        return None
