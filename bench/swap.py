"""Versions that change under load, what they leave in memory, and training beside serving; of `flip-agent serve` alone.

The load is eight clients of wrk, in each window the same; for each answer it compares the outputs with the version
that the answer names. Two more clients know of each swap: an answer to a request that was made after a swap is of the
new version. Windows with and without take turns, a ratio is the median of the turns. Memory is that of another process,
with versions of just under 5 MB.
"""

import asyncio
import signal
import statistics
import sys
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from bench.calm import undisturbed
from bench.checker import Checker
from bench.progress import say
from bench.report import Verdict, at_least, at_most
from bench.servers import MNIST, VERSIONS, Serve, a_row, json_post
from bench.swapper import Swapper
from bench.trees import rss
from bench.wrk import Load, Post, installed, load
from flip_demo.perceptron import Sizes, expected
from flip_runtime.child import Child

_CLIENTS = 8
_CHECKERS = 2
_EVERY = 0.1
"""Seconds between two swaps."""
_LARGE: Sizes = (784, 1536, 10)
"""1.2 million parameters, 4.9 MB."""
_SWAPS = 200
_MB = 1e6


class Served(Struct, frozen=True):
    """One `flip-agent serve` with those who ask it and those who have it swap."""

    serve: Serve
    post: Post
    swapper: Swapper
    checker: Checker


async def measure(folder: Path, *, quick: bool) -> Mapping[str, Verdict]:
    turns, seconds = (2, 2) if quick else (9, 5)
    await installed(folder)
    async with _served(folder / "small", MNIST) as served:
        swaps = await _swaps(served, turns, seconds)
        training = await _beside_training(served, folder, turns, seconds)
    async with _served(folder / "large", _LARGE) as served:
        memory = await _memory(served)
    return {**swaps, **memory, **training}


@asynccontextmanager
async def _served(folder: Path, sizes: Sizes) -> AsyncGenerator[Served]:
    serve = Serve(folder, sizes)
    row = a_row(sizes)
    outputs = {str(version): expected(version, row, sizes) for version in VERSIONS}
    first = {version: float(values[0, 0]) for version, values in outputs.items()}
    post = replace(json_post(serve.url, folder, row), first=first)
    swapper = Swapper(serve.manifests)
    async with swapper.listening(serve.socket), serve.running():
        await swapper.connected()
        yield Served(serve, post, swapper, Checker(post, swapper, outputs))


async def _swaps(served: Served, turns: int, seconds: int) -> Mapping[str, Verdict]:
    swapper, checker = served.swapper, served.checker
    with_swaps: list[Load] = []
    without: list[Load] = []
    swapping = 0.0
    clock = asyncio.get_running_loop().time
    async with checker.asking(_CHECKERS):
        await load(served.post, _CLIENTS, 1)
        for turn in range(turns):
            without.append(await _load(served, seconds))
            began = clock()
            async with _swapping(swapper):
                with_swaps.append(await _load(served, seconds))
            swapping += clock() - began
            pace, usual = with_swaps[-1].per_second, without[-1].per_second
            say(f"turn {turn + 1}: {pace:,.0f}/s with swaps, {usual:,.0f}/s without; {swapper.done} swaps so far")
    loads = [*with_swaps, *without]
    ratios = [each.per_second / usual.per_second for each, usual in zip(with_swaps, without, strict=True)]
    say(f"{sum(each.requests for each in loads):,} answers checked, {checker.answers:,} of them also for their time")
    return {
        "swaps_per_second": at_least(0.9 / _EVERY, swapper.done / swapping),
        "failed_requests": at_most(0, checker.failed + sum(each.failed for each in loads)),
        "wrong_answers": at_most(0, checker.wrong + sum(each.wrong for each in loads)),
        "pace_ratio": at_least(
            0.85, statistics.median(ratios), statistics.median(usual.per_second for usual in without)
        ),
    }


async def _load(served: Served, seconds: int) -> Load:
    return await undisturbed(lambda: load(served.post, _CLIENTS, seconds))


@asynccontextmanager
async def _swapping(swapper: Swapper) -> AsyncGenerator[None]:
    """Until the end of the block; a swap that has begun is finished."""
    over = asyncio.Event()

    async def swap() -> None:
        due = asyncio.get_running_loop().time()
        while not over.is_set():
            await swapper.swap()
            due += _EVERY
            await asyncio.sleep(due - asyncio.get_running_loop().time())

    async with asyncio.TaskGroup() as group:
        group.create_task(swap())
        try:
            yield
        finally:
            over.set()


async def _beside_training(served: Served, folder: Path, turns: int, seconds: int) -> Mapping[str, Verdict]:
    beside: list[float] = []
    alone: list[float] = []
    async with _training(folder) as training:
        for turn in range(turns):
            training.send_signal(signal.SIGSTOP)
            alone.append((await _load(served, seconds)).p99)
            training.send_signal(signal.SIGCONT)
            beside.append((await _load(served, seconds)).p99)
            say(f"turn {turn + 1}: p99 {beside[-1] * 1e3:.2f} ms beside training, {alone[-1] * 1e3:.2f} ms alone")
    ratios = [each / usual for each, usual in zip(beside, alone, strict=True)]
    return {"p99_beside_training_ratio": at_most(3.0, statistics.median(ratios), statistics.median(alone))}


@asynccontextmanager
async def _training(folder: Path) -> AsyncGenerator[Child]:
    log_file = folder / "training.log"
    child = Child("training", [sys.executable, "-m", "bench.training"], log_file=log_file)

    async def has_begun() -> bool:
        return "trained" in log_file.read_text()

    await child.start()
    try:
        await child.wait_until(has_begun, within=120.0)
        yield child
    finally:
        child.send_signal(signal.SIGCONT)
        await child.stop()


async def _memory(served: Served) -> Mapping[str, Verdict]:
    """With two versions loaded, and how much more after many swaps, all the time with some requests."""
    swapper, pid = served.swapper, served.serve.child.pid
    assert pid is not None
    async with served.checker.asking(_CHECKERS):
        await swapper.swap()
        await load(served.post, _CLIENTS, 1)
        loaded = rss(pid) / _MB
        for _ in range(_SWAPS):
            await swapper.swap()
        after = rss(pid) / _MB
    say(f"{loaded:.1f} MB with two versions, {after:.1f} MB after {_SWAPS} swaps")
    return {
        "rss_mb_two_versions": at_most(110.0, loaded),
        "rss_mb_growth": at_most(5.0, after - loaded),
    }
