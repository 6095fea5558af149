"""A run of the drifting app in which the ServerApp, the SuperLink or the hub is killed, round after round."""

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import psutil
from session_lab import APPS, Device, Hub, fab_of, training

from federation import process
from flip_hub.federation.plan import Plan
from flip_hub.federation.schemas import Run, RunRequest
from flip_wire.models import Sha256

SERVERAPP, SUPERLINK, HUB = "serverapp", "superlink", "hub"


class DriftingRun:
    def __init__(self, hub: Hub, folder: Path, plan: Plan | None = None, **config: bool | int | float | str) -> None:
        self._hub = hub
        self._plan = Plan(seed=7) if plan is None else plan
        self._calls = folder / "calls"
        self._config = {"calls": str(self._calls), **{name.replace("_", "-"): value for name, value in config.items()}}
        self.id = ""

    async def start(self) -> None:
        app = await asyncio.to_thread(self._hub.api.upload_app, fab_of(APPS / "drifting"))
        request = RunRequest(fab_hash=app.fab_hash, config=self._config, plan=self._plan)
        self.id = (await asyncio.to_thread(self._hub.api.start_run, request)).id

    def calls(self) -> Counter[str]:
        """How often each ClientApp was called for what: `train ROUND NODE`."""
        return Counter(self._calls.read_text().splitlines()) if self._calls.exists() else Counter()

    async def reaches(self, number: int, phase: str = "train") -> None:
        """Until a device works on that round."""
        await until(lambda: any(call.startswith(f"{phase} {number} ") for call in self.calls()))

    async def kill(self, what: str) -> None:
        match what:
            case "serverapp":
                await until(lambda: _serverapp(self._hub) is not None)
                serverapp = _serverapp(self._hub)
                assert serverapp is not None
                serverapp.kill()
            case "superlink":
                self._hub.kill_superlink()
            case _:
                await self._hub.killed()

    async def ended(self, within: float = 300.0) -> Run:
        return (await self._hub.finished(self.id, within)).run

    async def weights(self) -> Mapping[int, Sha256]:
        """Of the version that each round made."""
        versions = await asyncio.to_thread(self._hub.api.versions, "drifting")
        return {
            each.manifest.round: each.manifest.weights.sha256 for each in versions if each.manifest.run_id == self.id
        }


def _serverapp(hub: Hub) -> psutil.Process | None:
    try:
        return process(hub.pid, "aggregator.launcher")
    except (StopIteration, psutil.Error, LookupError, AssertionError):
        return None


async def until(condition: Callable[[], bool], within: float = 120.0) -> None:
    async with asyncio.timeout(within):
        while not condition():
            await asyncio.sleep(0.02)


@asynccontextmanager
async def fleet(hub: Hub, folder: Path, names: Sequence[str]) -> AsyncGenerator[None]:
    # Nobody wakes them: on a busy machine a ServerApp may take longer to begin than a device usually waits.
    devices = [await Device.enrolled(hub, folder / name, idle_exit=600.0) for name in names]
    async with training(*devices):
        yield
