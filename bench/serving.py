"""Requests a second, the slowest hundredth, and CPU for a request: `flip-agent serve` beside LitServe and MLServer.

One row of 784 numbers to a request, to a perceptron 784-256-10, from wrk on the same cores; nothing is pinned, because
LitServe has three processes. The servers take turns while the others stand still; a figure is the median over the turns
of the ratio within a turn, because machines have better and worse minutes (and hosts: `calm`). Where the machine does
other work too, one process gets a smaller share of it than three: then only the CPU for a request can be compared.
Binary tensors are ours alone: they stand against LitServe's JSON, the only form it has.
"""

import statistics
from collections.abc import Callable, Mapping
from pathlib import Path

from msgspec import Struct

from bench.calm import undisturbed
from bench.progress import say
from bench.report import Verdict, at_least, at_most
from bench.servers import Server, litserve, mlserver, ours
from bench.trees import cpu_seconds, standing_still
from bench.wrk import Load, Post, installed, load
from flip_runtime.errors import Unavailable

_CLIENTS = 32


class Window(Struct, frozen=True):
    """One server under one load."""

    per_second: float
    p99: float
    """Seconds."""
    cpu: float
    """Seconds for one request, of the server and all that it started."""


class Turn(Struct, frozen=True):
    flip: Window
    litserve: Window
    mlserver: Window
    binary: Window
    flip_alone: Window
    """With one client."""
    litserve_alone: Window


async def measure(folder: Path, *, quick: bool) -> Mapping[str, Verdict]:
    turns, seconds = (2, 2) if quick else (9, 5)
    await installed(folder)
    async with ours(folder) as (flip, binary), litserve(folder) as lit, mlserver(folder) as ml:
        servers = (flip, lit, ml)

        async def window(server: Server, post: Post, clients: int, seconds: int) -> Window:
            with standing_still([other.pid for other in servers if other is not server]):
                return await undisturbed(lambda: _window(server, post, clients, seconds))

        for server in servers:
            await window(server, server.json, _CLIENTS, 1)
        found: list[Turn] = []
        for number in range(turns):
            turn = Turn(
                flip=await window(flip, flip.json, _CLIENTS, seconds),
                litserve=await window(lit, lit.json, _CLIENTS, seconds),
                mlserver=await window(ml, ml.json, _CLIENTS, seconds),
                binary=await window(flip, binary, _CLIENTS, seconds),
                flip_alone=await window(flip, flip.json, 1, seconds),
                litserve_alone=await window(lit, lit.json, 1, seconds),
            )
            _tell(number + 1, turn)
            found.append(turn)
    return _verdicts(found)


async def _window(server: Server, post: Post, clients: int, seconds: int) -> Window:
    """Raises `Unavailable` when a request fails: then there is nothing to compare."""
    before = cpu_seconds([server.pid])
    found: Load = await load(post, clients, seconds)
    spent = cpu_seconds([server.pid]) - before
    if found.failed or not found.requests:
        raise Unavailable(f"{server.name}: of {found.requests} requests {found.failed} failed")
    return Window(found.per_second, found.p99, spent / found.requests)


def _tell(number: int, turn: Turn) -> None:
    pace = ", ".join(
        f"{name} {window.per_second:,.0f}/s p99 {window.p99 * 1e3:.1f} ms {window.cpu * 1e6:.0f} us"
        for name, window in (
            ("flip", turn.flip),
            ("litserve", turn.litserve),
            ("mlserver", turn.mlserver),
            ("binary", turn.binary),
            ("one client: flip", turn.flip_alone),
            ("litserve", turn.litserve_alone),
        )
    )
    say(f"turn {number}: {pace}")


def _verdicts(turns: list[Turn]) -> Mapping[str, Verdict]:
    def middle(of: Callable[[Turn], float]) -> float:
        return statistics.median(of(turn) for turn in turns)

    litserve_pace = middle(lambda turn: turn.litserve.per_second)
    return {
        "json_pace_litserve_ratio": at_least(
            8.0, middle(lambda turn: turn.flip.per_second / turn.litserve.per_second), litserve_pace
        ),
        "json_pace_mlserver_ratio": at_least(
            5.0,
            middle(lambda turn: turn.flip.per_second / turn.mlserver.per_second),
            middle(lambda turn: turn.mlserver.per_second),
        ),
        "json_p99_litserve_ratio": at_most(
            0.2, middle(lambda turn: turn.flip.p99 / turn.litserve.p99), middle(lambda turn: turn.litserve.p99)
        ),
        "json_cpu_litserve_ratio": at_most(
            0.1, middle(lambda turn: turn.flip.cpu / turn.litserve.cpu), middle(lambda turn: turn.litserve.cpu)
        ),
        "binary_pace_litserve_ratio": at_least(
            14.0, middle(lambda turn: turn.binary.per_second / turn.litserve.per_second), litserve_pace
        ),
        "one_client_p99_litserve_ratio": at_most(
            0.5,
            middle(lambda turn: turn.flip_alone.p99 / turn.litserve_alone.p99),
            middle(lambda turn: turn.litserve_alone.p99),
        ),
    }
