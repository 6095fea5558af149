"""An enrolled device without work, against Flower's SuperNode that is connected and has none.

Ours is `flip-agent run` with its real hub, with the configuration that it has by default; the local inference server
is another process, which a device may do without, and Flower has none.
"""

import asyncio
import os
from collections.abc import Mapping
from pathlib import Path

from bench.progress import say
from bench.report import Verdict, at_most
from bench.sides import Side, ours, stock
from bench.trees import MIB, cpu_seconds, rss

_SETTLE = 15.0
"""Seconds until both have started, connected and said hello."""


async def measure(folder: Path, *, quick: bool) -> Mapping[str, Verdict]:
    window = 20.0 if quick else 60.0
    os.environ |= {"FLIP_AGENT__SUPERVISE": "false", "FLIP_AGENT__HEARTBEAT": "30", "FLIP_DEVICES__HEARTBEAT": "30"}
    async with ours(folder / "flip", 1) as flip, stock(folder / "flower", 1) as flower:
        await asyncio.sleep(_SETTLE)
        say(f"watching both for {window:g} s")
        before = _cpu(flip), _cpu(flower)
        await asyncio.sleep(window)
        spent = _cpu(flip) - before[0], _cpu(flower) - before[1]
        memory = _rss(flip), _rss(flower)
    return {
        "rss_mib": at_most(32.0, memory[0], memory[1]),
        "cpu_percent": at_most(0.1, 100 * spent[0] / window, 100 * spent[1] / window),
    }


def _cpu(side: Side) -> float:
    return cpu_seconds(side.devices())


def _rss(side: Side) -> float:
    return sum(rss(pid) for pid in side.devices()) / MIB
