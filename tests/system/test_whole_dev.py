"""`scripts/dev` as a developer runs it: demo and Vite together, the hub restarted by an edit, one Ctrl-C for all."""

import asyncio
import os
import re
import signal
from collections.abc import Callable
from pathlib import Path

import httpx
import psutil
import pytest

from federation import appears, left_of

ROOT = Path(__file__).parents[2]
_COLOURS = re.compile(r"\x1b\[[0-9;]*m")


class Terminal:
    """What a process has printed so far."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdout is not None
        self._stdout = process.stdout
        self.text = ""

    async def shows(self, *words: str, within: float = 300.0) -> None:
        async with asyncio.timeout(within):
            while not all(word in self.text for word in words):
                line = await self._stdout.readline()
                assert line, self.text
                self.text += _COLOURS.sub("", line.decode())


def of_session(leader: int) -> list[str]:
    lines: list[str] = []
    for each in psutil.process_iter(["pid", "cmdline"]):
        try:
            if os.getsid(each.info["pid"]) == leader:
                lines.append(" ".join(each.info["cmdline"] or []))
        except ProcessLookupError:
            continue
    return lines


async def until(condition: Callable[[], bool], within: float = 60.0) -> None:
    async with asyncio.timeout(within):
        while not condition():
            await asyncio.sleep(0.05)


@pytest.mark.asyncio
async def test_an_edit_restarts_the_hub_and_ctrl_c_ends_hub_devices_and_console_together(folder: Path) -> None:
    process = await asyncio.create_subprocess_exec(
        ROOT / "scripts" / "dev",
        *("--free-ports", "--root", str(folder), "--rounds", "1"),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        start_new_session=True,
    )
    try:
        terminal = Terminal(process)
        await terminal.shows("Ctrl-C", "Local:")
        (console,) = re.findall(r"Local: +(http://localhost:\d+)", terminal.text)
        async with httpx.AsyncClient() as client:
            assert "/src/main.tsx" in (await client.get(console)).text

        hub = await appears(lambda: process.pid, "flip-hub", "serve")
        os.utime(ROOT / "hub" / "flip_hub" / "app.py")
        await until(lambda: not hub.is_running())
        after = await appears(lambda: process.pid, "flip-hub", "serve")
        assert after.pid != hub.pid
        vite = await appears(lambda: process.pid, "vite")

        os.killpg(process.pid, signal.SIGINT)  # as a terminal sends it
        async with asyncio.timeout(60):
            await process.communicate()
        assert not vite.is_running()
        assert left_of(folder) == []
        assert of_session(process.pid) == []
    finally:
        if process.returncode is None:
            os.killpg(process.pid, signal.SIGTERM)
            await process.communicate()
