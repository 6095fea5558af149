"""A child process ends with its parent, and its whole group ends with it."""

import asyncio
import signal
import sys
from pathlib import Path

import pytest

from flip_runtime.child import Child
from flip_runtime.errors import Unavailable


async def gone(pid: int) -> None:
    """Waits, 10 s at most, until no such process runs."""
    async with asyncio.timeout(10):
        while Path(f"/proc/{pid}").exists() and " Z " not in Path(f"/proc/{pid}/stat").read_text():
            await asyncio.sleep(0.02)


@pytest.mark.asyncio
async def test_stop_ends_a_child_that_ignores_sigterm(folder: Path) -> None:
    script = "import signal,time; signal.signal(15, signal.SIG_IGN); print('up', flush=True); time.sleep(60)"
    child = Child("stubborn", [sys.executable, "-c", script], log_file=folder / "log", stop_within=0.2)
    await child.start()

    async def up() -> bool:
        return "up" in (folder / "log").read_text()

    await child.wait_until(up, within=20)
    await child.stop()
    assert child.returncode == -signal.SIGKILL


@pytest.mark.asyncio
async def test_a_child_that_ends_early_is_reported_with_its_log(folder: Path) -> None:
    child = Child("short", [sys.executable, "-c", "raise SystemExit(3)"], log_file=folder / "log")
    await child.start()

    async def never() -> bool:
        return False

    with pytest.raises(Unavailable, match=r"short ended with status 3, see .*log"):
        await child.wait_until(never, within=20)
    await child.stop()


@pytest.mark.asyncio
async def test_a_missing_program_is_named() -> None:
    child = Child("ghost", ["/nonexistent/program"])
    with pytest.raises(Unavailable, match=r"ghost.*is /nonexistent/program installed"):
        await child.start()


@pytest.mark.asyncio
async def test_a_child_dies_when_its_parent_is_killed(folder: Path) -> None:
    parent = f"""
import asyncio, sys
from pathlib import Path
from flip_runtime.child import Child
async def main():
    child = Child("sleeper", ["sleep", "60"])
    await child.start()
    Path({str(folder / "pid")!r}).write_text(str(child.pid))
    await child.wait()
asyncio.run(main())
"""
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", parent)
    async with asyncio.timeout(20):
        while not (folder / "pid").exists() or not (folder / "pid").read_text():
            await asyncio.sleep(0.02)
    process.kill()
    await process.wait()
    await gone(int((folder / "pid").read_text()))
