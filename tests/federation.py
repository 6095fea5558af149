"""A whole federation for a test, on free ports, and what tests ask of it."""

import asyncio
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil

from flip_demo.federation import Federation
from flip_demo.layout import Layout, Ports
from flip_hub.federation.fab import build_fab
from flip_hub.federation.schemas import Run, RunDetail, RunRequest, Value
from flip_runtime.errors import Unavailable


def small_federation(folder: Path) -> Federation:
    """Two devices, north and east. Use `async with federation.running(...)`; everything it keeps is in `folder`."""
    return Federation(Layout(folder), Ports.free(devices=2))


async def start_run(federation: Federation, app: Path, **config: Value) -> Run:
    """`num_server_rounds=3` sets `num-server-rounds`."""
    uploaded = await asyncio.to_thread(federation.api.upload_app, build_fab(app))
    values = {name.replace("_", "-"): value for name, value in config.items()}
    request = RunRequest(fab_hash=uploaded.fab_hash, config=values)
    return await asyncio.to_thread(federation.api.start_run, request)


async def flip_hub(config_home: Path, *arguments: str) -> str:
    """Runs the command as a person would; gives what it printed."""
    program = Path(sys.executable).with_name("flip-hub")
    process = await asyncio.create_subprocess_exec(
        program,
        *arguments,
        env={"XDG_CONFIG_HOME": str(config_home), "PATH": "/usr/bin:/bin", "HOME": str(config_home)},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    async with asyncio.timeout(240):
        out, _ = await process.communicate()
    assert process.returncode == 0, out.decode()
    return out.decode()


async def follow(
    federation: Federation, run_id: str, until: Callable[[RunDetail], bool], within: float = 150.0
) -> RunDetail:
    """Waits for a condition on the run; the hub may be away in between."""
    deadline = time.monotonic() + within
    detail: RunDetail | None = None
    while time.monotonic() < deadline:
        try:
            detail = await asyncio.to_thread(federation.api.run, run_id)
        except Unavailable:
            pass
        else:
            if until(detail):
                return detail
        await asyncio.sleep(0.1)
    raise AssertionError(f"not so after {within:g} s: {detail}")


def ended(detail: RunDetail) -> bool:
    return detail.run.finished_at is not None


def process(root: int | None, *words: str) -> psutil.Process:
    """The process below `root`, itself included, whose command line has all the words."""
    assert root is not None
    top = psutil.Process(root)
    for each in [top, *top.children(recursive=True)]:
        try:
            line = " ".join(each.cmdline())
        except psutil.Error:
            continue
        if all(word in line for word in words):
            return each
    raise LookupError(f"no process with {words}")


async def appears(root: Callable[[], int | None], *words: str, within: float = 60.0) -> psutil.Process:
    """Waits for such a process."""
    deadline = time.monotonic() + within
    while time.monotonic() < deadline:
        try:
            return process(root(), *words)
        except (LookupError, psutil.Error, AssertionError):
            await asyncio.sleep(0.05)
    raise AssertionError(f"no process with {words} after {within:g} s")


def left_of(folder: Path) -> list[str]:
    """Command lines of processes that still have to do with the folder."""
    lines: list[str] = []
    for each in psutil.process_iter(["cmdline"]):
        line = " ".join(each.info["cmdline"] or [])
        if str(folder) in line and "pytest" not in line:
            lines.append(line)
    return lines
