"""What a process and everything below it costs: CPU time also of those that have ended, memory of those that live."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Callable, Generator, Sequence

import psutil

MIB = 2**20


def cpu_seconds(roots: Sequence[int]) -> float:
    """Of the trees below these processes, themselves included."""
    return sum(_cpu(process) for root in roots for process in tree(root))


def rss(root: int, without: str = "") -> int:
    """Bytes of the tree, shared pages once for each process; `without` processes with that word in their command."""
    return sum(_rss(process) for process in tree(root) if not without or without not in _command(process))


@contextlib.contextmanager
def standing_still(roots: Sequence[int]) -> Generator[None]:
    """Nothing of these trees runs meanwhile: what a server does while it waits would be charged to the others."""
    stopped = [process for root in roots for process in tree(root)]
    try:
        for process in stopped:
            process.suspend()
        yield
    finally:
        for process in stopped:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.resume()


def tree(root: int) -> list[psutil.Process]:
    try:
        top = psutil.Process(root)
        return [top, *top.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


class Peak:
    """The most that was seen."""

    def __init__(self) -> None:
        self.value = 0


@contextlib.asynccontextmanager
async def watching(measure: Callable[[], int], every: float = 0.2) -> AsyncGenerator[Peak]:
    """Looks from the block's begin to its end, every so many seconds."""
    peak = Peak()

    async def watch() -> None:
        while True:
            peak.value = max(peak.value, await asyncio.to_thread(measure))
            await asyncio.sleep(every)

    task = asyncio.create_task(watch())
    try:
        yield peak
    finally:
        task.cancel()
        await asyncio.wait([task])


def _cpu(process: psutil.Process) -> float:
    """With that of its children that have ended."""
    try:
        spent = process.cpu_times()
    except psutil.Error:
        return 0.0
    return spent.user + spent.system + spent.children_user + spent.children_system


def _rss(process: psutil.Process) -> int:
    try:
        return process.memory_info().rss
    except psutil.Error:
        return 0


def _command(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:
        return []
