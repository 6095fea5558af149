"""Whether a round of a plan's strategy fits into this machine's memory: what it needs is said before a run starts."""

import math
import os
from pathlib import Path

from msgspec import Struct

from flip_hub.federation.aggregator.strategies.catalogue import schema
from flip_hub.federation.plan import Plan
from flip_runtime.errors import Rejected

_WORTH_SAYING = 0.25
"""Share of the free memory from which on a run's need is said."""
_STREAMING = "plan.strategy fedavg or fedbuff adds updates up as they come; fraction_train asks fewer devices"


class Machine(Struct, frozen=True):
    """Bytes."""

    memory: int
    free: int

    @classmethod
    def this(cls) -> "Machine":
        """As the kernel estimates it (proc_meminfo(5), `MemAvailable`)."""
        memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
        lines = Path("/proc/meminfo").read_text().splitlines()
        free = next((int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:")), memory)
        return cls(memory, free)


def memory_said(plan: Plan, update: int, devices: int, machine: Machine) -> str:
    """What the run needs, for people; empty where that is little, or nothing is known of it. `update`: bytes of the
    model; `devices`: that may take part. Raises `Rejected` when the machine does not have it."""
    if not plan.strategy or not update:
        return ""
    need = schema(plan.strategy).need
    share = plan.options.get("fraction_train", 1.0)
    asked = math.ceil(devices * float(share) * (1 + plan.rounds.over_sample))
    wanted = need.in_bytes(update, asked)
    how = "adds updates up" if need.streams else f"collects the updates of {asked} devices"
    said = f"{plan.strategy} {how}: it needs about {_gb(wanted)} of memory for a model of {_gb(update)}"
    if wanted > machine.memory:
        raise Rejected(f"plan.strategy: {said}, the hub's machine has {_gb(machine.memory)}", hint=_STREAMING)
    return f"{said}; {_gb(machine.free)} are free" if wanted > _WORTH_SAYING * machine.free else ""


def _gb(size: int) -> str:
    return f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{size / 1e6:.0f} MB"
