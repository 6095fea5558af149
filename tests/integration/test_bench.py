"""`scripts/bench` keeps its contract: one JSON line at the end, and a status that agrees with it."""

import asyncio
import sys
from pathlib import Path

import msgspec
import pytest
from msgspec import Struct

ROOT = Path(__file__).parents[2]


class _Figure(Struct, frozen=True, forbid_unknown_fields=True):
    value: float
    limit: float
    peer: float | None


class _Line(Struct, frozen=True, forbid_unknown_fields=True):
    bench: str
    passed: bool = msgspec.field(name="pass")
    figures: dict[str, _Figure]


async def bench(*arguments: str) -> tuple[int, str, str]:
    """As scripts/bench starts it, once its set-up is done."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "bench",
        *arguments,
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(300):
        out, err = await process.communicate()
    assert process.returncode is not None
    return process.returncode, out.decode(), err.decode()


@pytest.mark.asyncio
async def test_the_last_line_of_a_bench_holds_its_figures_with_their_limits() -> None:
    status, out, err = await bench("outbox", "--quick")
    assert "turn 1" in err
    line = msgspec.json.decode(out.splitlines()[-1], type=_Line)
    assert (line.bench, line.passed) == ("outbox", status == 0), "how fast this busy machine is, is not asked here"
    assert {name: figure.limit for name, figure in line.figures.items()} == {
        "events_per_second_ratio": 10.0,
        "cpu_per_event_ratio": 0.1,
        "device_bytes_per_event": 400.0,
    }
    assert all(figure.value > 0 for figure in line.figures.values())


@pytest.mark.asyncio
async def test_a_bench_that_does_not_exist_is_refused_with_those_that_do() -> None:
    status, _, err = await bench("speed")
    assert status == 2
    for name in ("idle", "outbox", "rounds", "bigmodel", "serving", "swap"):
        assert name in err
