"""A real ServerApp's process that aggregates real replies: how much memory it needs beyond what it has with its model.

The hub with its gateway and SuperLink, the launcher, devices that each send other arrays of their own through the
gateway, Flower's messages: nothing is left out but the training. `idle` is what the process has when the app has
loaded and made its model, the most is what the kernel saw from then until the last round had its checkpoint.
"""

import asyncio
from pathlib import Path

from msgspec import Struct

from bench.fleets import Fleet
from bench.race import APP, WITHIN
from flip_hub.federation.fab import build_fab
from flip_hub.federation.plan import Plan
from flip_runtime.errors import Unavailable

ROUNDS = 2
"""The second one finds what the first has left behind."""


class Memory(Struct, frozen=True):
    """Bytes."""

    idle: int
    most: int


async def memory_of(fleet: Fleet, folder: Path, plan: Plan, *, devices: int, entries: int) -> Memory:
    """`entries`: of the model, 4 bytes each, all in one array. Raises `Unavailable` when the run fails."""
    out = folder / f"memory-{plan.strategy or 'own'}"
    rounds = {"num-server-rounds": ROUNDS, "devices": devices, "size": entries, "seed": 1}
    number = await fleet.side.start(build_fab(APP), {**rounds, "memory": str(out)}, plan)
    async with asyncio.timeout(WITHIN):
        while not (how := await fleet.side.ended(number)):
            await asyncio.sleep(0.2)
    if how != "finished":
        raise Unavailable(f"the run ended: {how}")
    idle, most = map(int, out.read_text().split())
    return Memory(idle=idle, most=most)
