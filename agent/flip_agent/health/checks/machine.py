"""Heat and memory of the machine."""

from collections.abc import Callable

from flip_agent.health.checks.check import Check
from flip_agent.health.conditions import MEMORY_LOW, TEMPERATURE_HIGH
from flip_agent.health.hardware import Hardware
from flip_agent.memory import give_memory_back, resident_bytes

MEMORY_RESERVE = 0.04
"""Of the machine's memory: below it the kernel may soon end a process."""


def temperature(hardware: Hardware, limit: Callable[[], float]) -> Check:
    """`limit` in degrees Celsius; 0 for none."""

    def look() -> str:
        degrees, most = hardware.temperature(), limit()
        return f"{degrees:.0f} °C" if most and degrees is not None and degrees >= most else ""

    return Check(TEMPERATURE_HIGH, look)


def memory(hardware: Hardware) -> Check:
    def look() -> str:
        sizes = hardware.memory()
        if sizes is None or sizes[0] >= MEMORY_RESERVE * sizes[1]:
            return ""
        return f"{sizes[0] // 2**20} of {sizes[1] // 2**20} MiB left"

    return Check(MEMORY_LOW, look, _trim)


def _trim() -> str:
    before = resident_bytes()
    give_memory_back()
    freed = before - resident_bytes()
    return f"{freed / 2**20:.1f} MiB given back" if freed >= 2**20 else ""
