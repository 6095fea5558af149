"""A child process in a process group of its own that ends with its parent, also when the parent is killed."""

import asyncio
import contextlib
import os
import shutil
import signal
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path

from flip_runtime.errors import Unavailable


class Child:
    """Spawned, probed and stopped as a whole: signals go to the process group."""

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        *,
        log_file: Path | None = None,
        environment: Mapping[str, str] | None = None,
        stop_within: float = 10.0,
        pass_files: Sequence[int] = (),
    ) -> None:
        """`environment` is added to this process's own; `stop_within` seconds pass between SIGTERM and SIGKILL.

        `pass_files` are descriptors that stay open in the child, under the same numbers.
        """
        self.name = name
        self.command = list(command)
        self._log_file = log_file
        self._environment = dict(environment or {})
        self._stop_within = stop_within
        self._pass_files = tuple(pass_files)
        self._process: asyncio.subprocess.Process | None = None

    @property
    def pid(self) -> int | None:
        return None if self._process is None else self._process.pid

    @property
    def returncode(self) -> int | None:
        return None if self._process is None else self._process.returncode

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.returncode is None

    async def start(self) -> None:
        """Raises `Unavailable` when the program is not there."""
        if shutil.which(self.command[0]) is None:
            raise Unavailable(f"cannot start {self.name}", hint=f"is {self.command[0]} installed?")
        out = None if self._log_file is None else os.open(self._log_file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            self._process = await asyncio.create_subprocess_exec(
                *ends_with_parent(),
                *self.command,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                env={**os.environ, **self._environment},
                start_new_session=True,  # a process group of its own; uvloop knows no process_group
                pass_fds=self._pass_files,
            )
        except OSError as error:
            raise Unavailable(f"cannot start {self.name}: {error}", hint=f"see {self.command[0]}") from error
        finally:
            if out is not None:
                os.close(out)

    async def wait(self) -> int:
        """The exit status; negative for a signal."""
        if self._process is None:
            raise RuntimeError(f"{self.name} was not started")
        return await self._process.wait()

    async def wait_until(self, ready: Callable[[], Awaitable[bool]], *, within: float, every: float = 0.1) -> None:
        """Raises `Unavailable` when the child ends, or is not ready after `within` seconds."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + within
        while not await ready():
            if not self.running:
                raise Unavailable(f"{self.name} ended with status {self.returncode}{self._see_log()}")
            if loop.time() > deadline:
                raise Unavailable(f"{self.name} is not ready after {within:g} s{self._see_log()}")
            await asyncio.sleep(every)

    async def stop(self) -> None:
        """SIGTERM, then SIGKILL; returns when the child is gone. What it left in its group is killed too."""
        process = self._process
        if process is None:
            return
        if process.returncode is None:
            self.send_signal(signal.SIGTERM)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._stop_within):
                    await process.wait()
        self.send_signal(signal.SIGKILL)
        await process.wait()

    def send_signal(self, number: signal.Signals) -> None:
        """To the whole group; nothing happens when it is gone."""
        if self._process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, number)

    def _see_log(self) -> str:
        return "" if self._log_file is None else f", see {self._log_file}"


def ends_with_parent() -> list[str]:
    """Prefix that has the kernel kill the child when its parent dies; only Linux knows how."""
    if sys.platform != "linux":
        return []
    setpriv = shutil.which("setpriv") or "/usr/bin/setpriv"
    return [setpriv, "--pdeathsig", "KILL", "--"] if os.path.exists(setpriv) else []


async def port_open(port: int, host: str = "127.0.0.1") -> bool:
    """Whether something accepts connections there."""
    try:
        async with asyncio.timeout(1.0):
            _, writer = await asyncio.open_connection(host, port)
    except (OSError, TimeoutError):
        return False
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()
    return True
