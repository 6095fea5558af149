"""`flip-agent serve` and `flip-agent train` as child processes of `run`, where no systemd starts them.

`serve` runs always; `train` while the hub announces work, and it leaves by itself when there is no more. One that was
cut off is started again even when no work is announced any more: what it has finished is to be delivered.
"""

import asyncio
import logging
import os
import shutil
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from flip_agent.watched import Watched
from flip_runtime.backoff import Backoff
from flip_runtime.child import Child
from flip_runtime.errors import Unavailable
from flip_wire.fleet import DesiredState

log = logging.getLogger(__name__)

_CUT_OFF = "session.db-wal"
"""SQLite leaves it in the state folder only when `train` has not closed its file."""
LOG_LIMIT = 4 * 2**20
"""Bytes of a log file; the part before it is kept once, as NAME.log.1."""
_STOP_WITHIN = 5.0
"""Seconds; `run` itself must be gone within ten."""
_SETTLED_AFTER = 60.0
"""Seconds of running after which earlier failures are forgotten."""
_LOOK_AT_LOG = 60.0


class Children:
    def __init__(self, state: Path, config: Path | None, desired: Watched[DesiredState]) -> None:
        self._state = state
        self._logs = state / "logs"
        self._config = [] if config is None else ["--config", str(config)]
        self._desired = desired

    async def run_serve(self) -> None:
        await self._keep("serve", _always)

    async def run_train(self) -> None:
        await self._keep("train", self._work)

    async def _work(self) -> None:
        if not (self._state / _CUT_OFF).exists():
            await self._desired.until(lambda desired: bool(desired.work))

    async def _keep(self, name: str, wanted: Callable[[], Awaitable[None]]) -> None:
        """Starts it whenever it is wanted; after a failure later and later."""
        backoff = Backoff(first=1.0, most=60.0)
        failures = 0
        while True:
            await wanted()
            started = time.monotonic()
            status = await self._live(name)
            if status == 0 or time.monotonic() - started > _SETTLED_AFTER:
                failures = 0
            if status != 0:
                failures += 1
                said = _last_line(self._log(name))
                log.error("child process failed", extra={"child": name, "status": status, "said": said})
            await asyncio.sleep(backoff.delay(max(1, failures)))

    async def _live(self, name: str) -> int:
        """One life of the process, from start to exit status."""
        self._logs.mkdir(mode=0o700, exist_ok=True)
        command = [sys.executable, "-m", "flip_agent", name, *self._config]
        child = Child(name, command, log_file=self._log(name), stop_within=_STOP_WITHIN)
        try:
            await child.start()
            log.info("child process started", extra={"child": name, "pid": child.pid})
            async with asyncio.TaskGroup() as group:
                bounding = group.create_task(self._bound_log(self._log(name)))
                status = await child.wait()
                bounding.cancel()
            return status
        except Unavailable as error:
            log.error("child process cannot start", extra={"child": name, "reason": str(error)})
            return 1
        finally:
            await child.stop()

    async def _bound_log(self, path: Path) -> None:
        while True:
            if path.exists() and path.stat().st_size > LOG_LIMIT:
                shutil.copyfile(path, path.with_suffix(".log.1"))
                os.truncate(path, 0)  # the child appends, so that it goes on at the start
            await asyncio.sleep(_LOOK_AT_LOG)

    def _log(self, name: str) -> Path:
        return self._logs / f"{name}.log"


async def _always() -> None:
    return


def _last_line(path: Path) -> str:
    """Of a log, where a process that ends says why."""
    try:
        with path.open("rb") as log_file:
            log_file.seek(max(0, path.stat().st_size - 4096))
            lines = log_file.read().decode(errors="replace").strip().splitlines()
    except OSError:
        return ""
    return lines[-1] if lines else ""
