"""Follows the logs of this device for a while, and tells their new lines: what somebody at the hub watches live.

The lines are telemetry of the lowest priority: they wait in the outbox while there is no network, and what is too much
is left out and counted.
"""

import asyncio
import contextlib
import os
import re
import shutil
from collections.abc import Awaitable, Callable
from pathlib import Path

from flip_agent.actions.logs_of_units import UNITS
from flip_runtime.errors import Unavailable
from flip_wire.actions import FOLLOWED
from flip_wire.telemetry import LogLines

GATHER = 1.0
"""Seconds between two events of one log."""
MOST_LINES = 100
"""Of one event; more are left out."""
LONGEST = 1000
"""Characters of a line."""
_EARLIER = "20"
"""Lines of before that are told first, of each log."""
_FILE = re.compile(r"==> (.*) <==")
"""How `tail` says which file the next lines are of."""
_PATIENCE = 5.0
"""Seconds that a follower may take to end."""

Tell = Callable[[LogLines], Awaitable[None]]


class LogFollower:
    """`begin` returns at once; asked again meanwhile, it goes on for longer."""

    def __init__(self, state: Path, tell: Tell, *, others: Callable[[], list[str]], seconds: float = FOLLOWED) -> None:
        """`others`: files outside the state folder that are logs of this device, too."""
        self._state = state
        self._tell = tell
        self._others = others
        self._seconds = seconds
        self._asked = asyncio.Event()
        self._until = 0.0

    def begin(self) -> None:
        self._until = asyncio.get_running_loop().time() + self._seconds
        self._asked.set()

    async def run(self) -> None:
        """Until it is cancelled."""
        while True:
            await self._asked.wait()
            self._asked.clear()
            async with asyncio.TaskGroup() as group:
                followers = [group.create_task(self._follow(command)) for command in self._commands()]
                while (left := self._until - asyncio.get_running_loop().time()) > 0:
                    await asyncio.sleep(left)
                for follower in followers:
                    follower.cancel()

    def _commands(self) -> list[list[str]]:
        files = [*(str(path) for path in sorted((self._state / "logs").glob("*.log"))), *self._others()]
        commands = [["tail", "-v", "-n", _EARLIER, "-F", *files]] if files and shutil.which("tail") else []
        if "JOURNAL_STREAM" in os.environ and shutil.which("journalctl"):
            commands.append(
                ["journalctl", "--no-pager", "--follow", f"--lines={_EARLIER}", "--output=short-iso", *UNITS]
            )
        return commands

    async def _follow(self, command: list[str]) -> None:
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            limit=2**20,
        )
        assert process.stdout is not None
        waiting = _Waiting("journal" if command[0] == "journalctl" else "log")
        try:
            async with asyncio.TaskGroup() as group:
                telling = group.create_task(self._tell_all(waiting))
                while line := await _line(process.stdout):
                    waiting.take(line)
                telling.cancel()
        finally:
            with contextlib.suppress(ProcessLookupError):
                process.terminate()
            await process.wait()

    async def _tell_all(self, waiting: "_Waiting") -> None:
        while True:
            await asyncio.sleep(GATHER)
            for lines in waiting.taken():
                with contextlib.suppress(Unavailable):  # the disk is full of what matters more
                    await self._tell(lines)


async def _line(stream: asyncio.StreamReader) -> bytes:
    """Empty at the end."""
    try:
        return await stream.readuntil()
    except asyncio.IncompleteReadError as error:
        return error.partial
    except asyncio.LimitOverrunError as error:  # a line without end: what of it is here counts as one
        return await stream.readexactly(error.consumed) + b"\n"


class _Waiting:
    """Lines by the log that they are of, until they are told."""

    def __init__(self, source: str) -> None:
        self._source = source
        self._lines: dict[str, list[str]] = {}
        self._left_out: dict[str, int] = {}

    def take(self, line: bytes) -> None:
        text = line.decode(errors="replace").rstrip("\n")
        if found := _FILE.fullmatch(text):
            self._source = Path(found[1]).name
        elif text:
            lines = self._lines.setdefault(self._source, [])
            if len(lines) < MOST_LINES:
                lines.append(text[:LONGEST])
            else:
                self._left_out[self._source] = self._left_out.get(self._source, 0) + 1

    def taken(self) -> list[LogLines]:
        lines, left_out = self._lines, self._left_out
        self._lines, self._left_out = {}, {}
        return [LogLines(source=source, lines=each, left_out=left_out.get(source, 0)) for source, each in lines.items()]
