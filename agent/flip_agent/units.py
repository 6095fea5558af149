"""`flip-agent serve` and `flip-agent train` where systemd runs them (`agent.supervise` is off), as `Children` is where
`run` does.

`run` has no privileges. It asks for training by writing a file that `flip-train.path` watches; `serve` has its socket
and starts with the machine. A unit is looked at only while what it runs should be there and is not.
"""

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from flip_agent.reported import Reported
from flip_agent.watched import Watched, first_of
from flip_agent.work import work_waits
from flip_runtime.backoff import Backoff
from flip_runtime.captured import captured
from flip_runtime.errors import Unavailable
from flip_wire.fleet import DesiredState

log = logging.getLogger(__name__)

TRAIN_FILE = "train"
"""In the folder of the sockets: each time it is written, `flip-train.path` starts training."""
_COMES_WITHIN = 60.0
"""Seconds that a process may take to start and connect; small boards take 20 to import Flower."""
_SETTLED_AFTER = 60.0
_LOOK_EVERY = 30.0
_AGAIN = Backoff(first=5.0, most=300.0)
_ASK_WITHIN = 10.0
_MOST = 2**16
_SAID_LIMIT = 500


class Units:
    def __init__(
        self,
        state: Path,
        sockets: Path,
        missing: Callable[[], Sequence[str]],
        desired: Watched[DesiredState],
        reported: Reported,
    ) -> None:
        """`missing`: names of the instances of `serve` that are not connected."""
        self._state = state
        self._file = sockets / TRAIN_FILE
        self._missing = missing
        self._desired = desired
        self._reported = reported
        self._failing: dict[str, str] = {}
        self._corrections = Watched(0)

    def failing(self, name: str) -> str:
        """Why what that subcommand runs is not there; empty when nothing is known to keep it away."""
        return self._failing.get(name, "")

    def try_again(self) -> None:
        """At once: the configuration may have been corrected."""
        for name in self._failing:
            self._tell(name, "")
        self._corrections.set(self._corrections.value + 1)

    async def run_serve(self) -> None:
        """Looks why an instance stays away; systemd starts it."""
        while True:
            away = list(self._missing())
            await asyncio.sleep(_LOOK_EVERY)
            still = [name for name in away if name in self._missing()]
            troubles = [await _trouble(f"flip-inference@{name}.service", f"flip-inference@{name}") for name in still]
            self._tell("serve", "; ".join(filter(None, troubles)))

    async def run_train(self) -> None:
        """Asks for training whenever it is wanted; after a session that failed later and later."""
        failures = 0
        while True:
            await work_waits(self._state, self._desired, self._reported)
            corrections, asked = self._corrections.value, time.monotonic()
            trouble = await self._begin()
            await self._reported.in_session.until(lambda there: not there)
            if not trouble and time.monotonic() - asked > _SETTLED_AFTER:
                failures = 0
                continue
            failures += 1
            self._tell("train", trouble)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_AGAIN.delay(failures)):
                    await first_of(self._corrections.other_than(corrections), self._reported.in_session.until(bool))
            if self._reported.in_session.value:  # late, but there
                self._tell("train", "")

    async def _begin(self) -> str:
        """Why it did not begin, in words; empty when it did."""
        try:
            self._file.write_text(f"{time.time():.0f}\n")
        except OSError as error:
            return f"training cannot be asked for: {self._file}: {error.strerror}"
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_COMES_WITHIN):
                await self._reported.in_session.until(bool)
            self._tell("train", "")
            return ""
        return await _trouble("flip-train.service", "flip-train", starter="flip-train.path")

    def _tell(self, name: str, trouble: str) -> None:
        if trouble != self._failing.get(name, ""):
            log.log(logging.ERROR if trouble else logging.INFO, "unit", extra={"subcommand": name, "trouble": trouble})
        self._failing[name] = trouble
        if name == "train":
            self._reported.held(by=name, because=trouble)


async def _trouble(unit: str, name: str, starter: str = "") -> str:
    """What systemd says of it; `starter`: the unit that starts it."""
    try:
        if starter and (await _shown(starter)).get("ActiveState") != "active":
            return f"{starter} is not active, so nothing starts {name}: systemctl enable --now {starter}"
        shown = await _shown(unit)
        if shown.get("LoadState") != "loaded":
            return f"{unit} is not installed"
        if shown.get("ActiveState") in ("active", "activating") and shown.get("Result") == "success":
            return f"{unit} runs, but does not connect"
        said = await _last_words(unit)
    except Unavailable as error:
        return f"{unit}: {error}"
    ended = f"{shown.get('Result', 'unknown')}, status {shown.get('ExecMainStatus', 'unknown')}"
    return f"{unit} is {shown.get('ActiveState', 'unknown')} ({ended})" + (f": {said}" if said else "")


async def _shown(unit: str) -> dict[str, str]:
    command = ["systemctl", "show", "--property=LoadState,ActiveState,Result,ExecMainStatus", unit]
    end = await captured(command, within=_ASK_WITHIN, most=_MOST)
    if end.status != 0:
        raise Unavailable(end.complaint)
    pairs = (line.partition("=") for line in end.out.decode(errors="replace").splitlines())
    return {key: value for key, _, value in pairs}


async def _last_words(unit: str) -> str:
    """Of the service itself, as the journal has them."""
    command = ["journalctl", "--no-pager", "--quiet", "--output=cat", "--lines=1", f"_SYSTEMD_UNIT={unit}"]
    end = await captured(command, within=_ASK_WITHIN, most=_MOST)
    return end.out.decode(errors="replace").strip().removeprefix("flip-agent: ")[:_SAID_LIMIT]
