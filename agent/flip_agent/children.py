"""`flip-agent serve` and `flip-agent train` as child processes of `run`, where no systemd starts them.

`serve` runs always, a process for each of its instances; `train` while the hub announces work, and it leaves by itself
when there is no more. One that was cut off is started again even when no work is announced any more: what it has
finished is to be delivered.

One that keeps failing is told of with its last words, and comes back later and later. A configuration that it refuses
will hardly mend itself: then it waits much longer, or until the configuration is read again.
"""

import asyncio
import contextlib
import logging
import os
import shutil
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

from msgspec import Struct

from flip_agent.instances import DEFAULT
from flip_agent.reported import Reported
from flip_agent.watched import Watched
from flip_agent.work import work_waits
from flip_runtime.backoff import Backoff
from flip_runtime.child import Child
from flip_runtime.errors import ConfigError, Unavailable
from flip_wire.fleet import DesiredState

log = logging.getLogger(__name__)

LOG_LIMIT = 4 * 2**20
"""Bytes of a log file; the part before it is kept once, as NAME.log.1."""
_STOP_WITHIN = 5.0
"""Seconds; `run` itself must be gone within ten."""
_SETTLED_AFTER = 60.0
"""Seconds of running after which earlier failures are forgotten."""
_LOOK_AT_LOG = 60.0
_FAILING_FROM = 3
"""Failures in a row; fewer are nobody's business."""
_SAID_LIMIT = 500
"""Characters of a child's last words."""
_AGAIN = Backoff(first=1.0, most=60.0)
_REFUSED_AGAIN = Backoff(first=15.0, most=600.0)  # a port that is taken becomes free


class Children:
    def __init__(
        self,
        state: Path,
        config: Path | None,
        instances: Sequence[str],
        desired: Watched[DesiredState],
        reported: Reported,
    ) -> None:
        """`instances` of `serve`, by name."""
        self._instances = instances
        self._state = state
        self._logs = state / "logs"
        self._config = [] if config is None else ["--config", str(config)]
        self._desired = desired
        self._reported = reported
        self._failing: dict[str, str] = {}
        self._corrections = Watched(0)

    def failing(self, name: str) -> str:
        """Why it does not run, with its last words; empty when nothing is known to keep it, or any instance of it, from
        running."""
        return "; ".join(trouble for child, trouble in self._failing.items() if trouble and child.split()[0] == name)

    def try_again(self) -> None:
        """At once, what waits after a failure: the configuration may have been corrected."""
        for name in self._failing:
            self._tell(name, "")
        self._corrections.set(self._corrections.value + 1)

    async def run_serve(self) -> None:
        async with asyncio.TaskGroup() as group:
            for instance in self._instances:
                group.create_task(self._keep("serve" if instance == DEFAULT else f"serve {instance}", _always))

    async def run_train(self) -> None:
        await self._keep("train", lambda: work_waits(self._state, self._desired, self._reported))

    async def _keep(self, name: str, wanted: Callable[[], Awaitable[None]]) -> None:
        """Starts it whenever it is wanted; after a failure later and later. `name`: subcommand, and its argument."""
        failures = 0
        while True:
            await wanted()
            corrections = self._corrections.value
            started = time.monotonic()
            end = await self._live(name)
            if end.status == 0 or time.monotonic() - started > _SETTLED_AFTER:
                failures = 0
            if end.status != 0:
                failures += 1
                log.error("child process failed", extra={"child": name, "status": end.status, "said": end.said})
            if self._corrections.value != corrections:  # what it failed with may be corrected: not to be told any more
                failures = 0
                continue
            self._tell(name, end.trouble(name, failures))
            backoff = _REFUSED_AGAIN if end.refused else _AGAIN
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(backoff.delay(max(1, failures))):
                    await self._corrections.other_than(corrections)

    def _tell(self, name: str, trouble: str) -> None:
        self._failing[name] = trouble
        if name == "train":
            self._reported.held(by=name, because=trouble)

    async def _live(self, name: str) -> "_End":
        """One life of the process, from start to end."""
        self._logs.mkdir(mode=0o700, exist_ok=True)
        said_before = _size(self._log(name))
        command = [sys.executable, "-m", "flip_agent", *name.split(), *self._config]
        child = Child(name, command, log_file=self._log(name), stop_within=_STOP_WITHIN)
        try:
            await child.start()
            log.info("child process started", extra={"child": name, "pid": child.pid})
            async with asyncio.TaskGroup() as group:
                beside = [
                    group.create_task(self._bound_log(self._log(name))),
                    group.create_task(self._settle(name)),
                ]
                status = await child.wait()
                for task in beside:
                    task.cancel()
            return _End(status=status, said=_last_line(self._log(name), said_before))
        except Unavailable as error:
            log.error("child process cannot start", extra={"child": name, "reason": str(error)})
            return _End(status=1, said=str(error))
        finally:
            await child.stop()

    async def _settle(self, name: str) -> None:
        await asyncio.sleep(_SETTLED_AFTER)
        self._tell(name, "")

    async def _bound_log(self, path: Path) -> None:
        while True:
            if _size(path) > LOG_LIMIT:
                shutil.copyfile(path, path.with_suffix(".log.1"))
                os.truncate(path, 0)  # the child appends, so that it goes on at the start
            await asyncio.sleep(_LOOK_AT_LOG)

    def _log(self, name: str) -> Path:
        return self._logs / f"{name.replace(' ', '-')}.log"


class _End(Struct, frozen=True, kw_only=True):
    """How a life of a child came to its end."""

    status: int
    said: str

    @property
    def refused(self) -> bool:
        return self.status == ConfigError.exit_status

    def trouble(self, name: str, failures: int) -> str:
        """What people are told of it after so many failures in a row; empty when it is nothing to speak of."""
        last_words = f": {self.said}" if self.said else ""
        if self.refused:
            return f"flip-agent {name} does not start{last_words}"
        if failures >= _FAILING_FROM:
            return f"flip-agent {name} fails again and again, with status {self.status}{last_words}"
        return ""


async def _always() -> None:
    return


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _last_line(path: Path, begin: int) -> str:
    """Of a log from `begin` on, where a process that ends says why; of all of it when it was cut meanwhile."""
    try:
        with path.open("rb") as log_file:
            size = path.stat().st_size
            log_file.seek(max(begin if begin <= size else 0, size - 4096))
            lines = log_file.read().decode(errors="replace").strip().splitlines()
    except OSError:
        return ""
    return lines[-1].removeprefix("flip-agent: ")[:_SAID_LIMIT] if lines else ""
