"""The processes of a federation on one machine: each a child that is restarted when it dies."""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path

from flip_runtime.backoff import Backoff
from flip_runtime.child import Child
from flip_runtime.errors import ConfigError, Unavailable
from flip_runtime.supervisor import Service

log = logging.getLogger(__name__)

EX_CONFIG = 78


class Process:
    """One program of the federation; `service()` keeps it running, `stop()` ends it and all it started."""

    def __init__(self, name: str, command: Sequence[str], folder: Path) -> None:
        """Its output goes to `NAME.log` in `folder`."""
        self.log_file = folder / f"{name}.log"
        self.child = Child(name, command, log_file=self.log_file, stop_within=15.0)

    def service(self) -> Service:
        # Quick at first: people who kill a process to see what happens should not have to wait.
        return Service(self.child.name, self._run, Backoff(first=0.2, most=10.0), settled_after=20.0)

    async def _run(self) -> None:
        await self.child.start()
        try:
            status = await self.child.wait()
        finally:
            await self.child.stop()
        reason = f"{self.child.name} ended with status {status}"
        if status == EX_CONFIG:
            raise ConfigError(f"{reason}: {last_line(self.log_file)}", hint=f"see {self.log_file}")
        raise Unavailable(reason, hint=f"see {self.log_file}")


async def run_to_end(
    name: str,
    command: Sequence[str],
    folder: Path,
    *,
    within: float = 60.0,
    environment: Mapping[str, str] | None = None,
) -> None:
    """Runs a command that ends by itself. Raises `ConfigError` with its last line when it fails."""
    log_file = folder / f"{name}.log"
    child = Child(name, command, log_file=log_file, environment=environment)
    await child.start()
    try:
        async with asyncio.timeout(within):
            status = await child.wait()
    finally:
        await child.stop()
    if status != 0:
        raise ConfigError(f"{name} ended with status {status}: {last_line(log_file)}", hint=f"see {log_file}")


def last_line(path: Path) -> str:
    lines = path.read_text(errors="replace").strip().splitlines() if path.exists() else []
    return lines[-1] if lines else "(it said nothing)"
