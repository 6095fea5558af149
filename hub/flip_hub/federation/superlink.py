"""Flower's SuperLink as a supervised child on loopback: while `run` runs there is one, and after it nothing is left.

Its state is in memory: four times cheaper than a database file, and a restart fails the runs either way (the hub
notices by `boots`). It starts `flower-superexec` and that starts `flwr-serverapp`, both by name from PATH. We put
scripts of those names first, so that a ServerApp runs under our launcher, and so that the kernel ends each of the
three when its parent ends, however that happens (SuperExec makes a session of its own, out of reach of the group).
The SuperLink itself is started through `superlink_process`. One that does not answer for `superlink.hung_after` seconds
is ended like one that has ended: it would never come back by itself.
"""

import asyncio
import contextlib
import logging
import os
import shlex
import shutil
import signal
import socket
import sys
from collections.abc import Coroutine, Generator
from pathlib import Path
from typing import NoReturn

from flip_hub.federation.journal import runs_in
from flip_hub.federation.superlink_probe import SuperlinkProbe, free_port
from flip_hub.settings import Settings
from flip_runtime.atomic import write_file
from flip_runtime.child import Child, ends_with_parent, port_open
from flip_runtime.errors import ConfigError, Unavailable

log = logging.getLogger(__name__)

HOST = "127.0.0.1"
_PROGRAMS = Path(sys.executable).parent
_PROCESS = "flip_hub.federation.superlink_process"
_STARTS_WITHIN = 90.0
"""Seconds; its imports alone take ten on a small board."""
_PORT_FREE_WITHIN = 3.0
"""Seconds; the SuperLink of a hub that was killed lets go within moments."""
LOOK_EVERY = 2.0
"""Seconds between looks whether it answers."""
LOOK_WITHIN = 5.0
"""Seconds that an answer may take; a thousand devices at once keep it busy for one."""

_LARGEST_LOG = 16 * 2**20
"""Bytes; there is one such file and the one before it."""


class Superlink:
    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._folder = settings.hub.state / "superlink"
        self._log_file = self._folder / "superlink.log"
        self._superexec_pid = self._folder / "superexec.pid"
        self._ready = asyncio.Event()
        self.boots = 0
        """How often it has become ready; runs of an earlier boot are gone."""

    @property
    def address(self) -> str:
        return f"{HOST}:{self._settings.superlink.port}"

    @property
    def ready(self) -> bool:
        return self._ready.is_set()

    async def wait_ready(self) -> None:
        await self._ready.wait()

    async def run(self) -> NoReturn:
        """Raises `Unavailable` when it ends or does not start, `ConfigError` when its port is taken."""
        self._prepare()
        await self._await_port()
        health = f"{HOST}:{free_port(HOST)}"
        child = Child(
            "the SuperLink",
            self._command(health),
            log_file=self._log_file,
            environment=self._environment(),
            stop_within=5.0,
        )
        try:
            await child.start()
            await child.wait_until(self._answers, within=_STARTS_WITHIN)
            with self._superexec() as superexec_ended:
                self.boots += 1
                self._ready.set()
                log.info("superlink ready", extra={"address": self.address, "pid": child.pid, "boots": self.boots})
                await _first(child.wait(), superexec_ended.wait(), self._bound_log(), self._until_hung(health))
        finally:
            self._ready.clear()
            await child.stop()
        raise Unavailable(f"the SuperLink has ended, see {self._log_file}")

    def _prepare(self) -> None:
        programs = self._folder / "bin"
        for folder in (self._folder / "home", programs):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._superexec_pid.unlink(missing_ok=True)
        lines = [f"echo $$ > {shlex.quote(str(self._superexec_pid))}"]
        superexec = _PROGRAMS / "flower-superexec"
        write_file(programs / superexec.name, _script([str(superexec)], before=lines), mode=0o700)
        launcher = [sys.executable, "-P", "-m", "flip_hub.federation.aggregator.launcher"]
        write_file(programs / "flwr-serverapp", _script(launcher), mode=0o700)
        if self._log_file.exists():
            self._log_file.replace(self._log_file.with_suffix(".log.1"))

    async def _await_port(self) -> None:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + _PORT_FREE_WITHIN
        while not _is_free(self._settings.superlink.port):
            if loop.time() > deadline:
                raise ConfigError(
                    f"port {self._settings.superlink.port} on {HOST} is taken", hint="set superlink.port to a free one"
                )
            await asyncio.sleep(0.1)

    def _command(self, health: str) -> list[str]:
        command = [sys.executable, "-P", "-m", _PROCESS, "--insecure", "--disable-runtime-dependency-installation"]
        address = ["--host", HOST, "--port", str(self._settings.superlink.port)]
        return [*command, *address, "--health-server-address", health]

    def _environment(self) -> dict[str, str]:
        hub = self._settings.hub
        return {
            "PATH": os.pathsep.join([str(self._folder / "bin"), str(_PROGRAMS), os.environ.get("PATH", os.defpath)]),
            "FLWR_HOME": str(self._folder / "home"),
            "FLWR_TELEMETRY_ENABLED": "0",
            "FLWR_DISABLE_UPDATE_CHECK": "1",
            "FLWR_SUPEREXEC_TASK_POLL_INTERVAL": "0.2",
            "OMP_NUM_THREADS": "1",
            "PYTHONUNBUFFERED": "1",
            "FLIP_HUB_SOCKET": str(hub.admin_socket),
            "FLIP_HUB_SECRET_FILE": str(hub.state / "internal.secret"),
            "FLIP_HUB_PATIENCE": str(self._settings.superlink.patience),
            "FLIP_RUNS": str(runs_in(self._settings)),
        }

    async def _answers(self) -> bool:
        written = self._superexec_pid.exists() and self._superexec_pid.stat().st_size > 0
        return written and await port_open(self._settings.superlink.port, HOST)

    async def _until_hung(self, health: str) -> None:
        """Returns when it has not answered for too long; not ready it is from the first look on that it misses."""
        loop, patience = asyncio.get_running_loop(), self._settings.superlink.hung_after
        answered_at = loop.time()
        async with SuperlinkProbe(health, self.address) as probe:
            while (left := answered_at + patience - loop.time()) > 0:
                if await probe.answers(within=min(left, LOOK_WITHIN)):
                    answered_at = loop.time()
                    self._ready.set()
                elif self._ready.is_set():
                    self._ready.clear()
                    log.warning("the SuperLink does not answer", extra={"restarted_after": patience})
                await asyncio.sleep(min(LOOK_EVERY, patience / 4))
        log.error("the SuperLink hangs and is restarted", extra={"silent_for": patience})

    async def _bound_log(self) -> NoReturn:
        """The SuperLink logs each call of the run's status; it appends, so what was copied can be cut off under it."""
        while True:
            await asyncio.sleep(60.0)
            if self._log_file.stat().st_size > _LARGEST_LOG:
                await asyncio.to_thread(shutil.copyfile, self._log_file, self._log_file.with_suffix(".log.1"))
                os.truncate(self._log_file, 0)

    @contextlib.contextmanager
    def _superexec(self) -> Generator[asyncio.Event]:
        """Watches SuperExec, which the SuperLink does not: without it no run would ever start again."""
        ended = asyncio.Event()
        try:
            handle = os.pidfd_open(int(self._superexec_pid.read_text()))
        except ProcessLookupError as error:
            raise Unavailable("flower-superexec has ended") from error
        loop = asyncio.get_running_loop()
        loop.add_reader(handle, ended.set)
        try:
            yield ended
        finally:
            loop.remove_reader(handle)
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(handle, signal.SIGKILL)
            os.close(handle)


def _script(command: list[str], before: list[str] | None = None) -> bytes:
    run = shlex.join([*ends_with_parent(), *command])
    return "\n".join(["#!/bin/sh", *(before or []), f'exec {run} "$@"', ""]).encode()


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
        return True


async def _first(*waits: Coroutine[object, object, object]) -> None:
    """Returns when one of them does; the others are cancelled."""
    tasks = [asyncio.create_task(wait) for wait in waits]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
