"""The lab itself: a whole hub on loopback, virtual devices enrolled with it, one run, and what became of all."""

import asyncio
import contextlib
import importlib
import os
import sys
import tomllib
from asyncio import to_thread
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

from flip_agent.settings import Value
from flip_demo.federation import Federation
from flip_demo.layout import Layout, Ports
from flip_hub.client import HubApi
from flip_hub.enrolment.schemas import EnrolmentTokenRequest
from flip_hub.federation.fab import build_fab
from flip_hub.federation.lab_frames import SOCKET
from flip_hub.federation.lab_request import LabRequest
from flip_hub.federation.schemas import RoundFinished, Run, RunDetail, RunReport, RunRequest, RunStatus
from flip_lab.accounts import Accounts, LastWord
from flip_lab.device import VirtualDevice
from flip_lab.faults import Faults, load_faults
from flip_lab.fortune import Fortune
from flip_lab.report import LabReport, in_hours
from flip_lab.server_apps import ServerApps, nodes_of
from flip_lab.story import Story
from flip_lab.timeline import Timeline
from flip_lab.workers import Workers
from flip_runtime.errors import ConfigError, Unavailable

_APP_TIMEOUT = 600.0
_RENEW_EVERY = 300.0
_ENROL_AT_ONCE = 8
_SETTLES_WITHIN = 180.0
"""Seconds, real ones."""
_LOOK_EVERY = 0.2
_UNDER_WAY = (RunStatus.PENDING, RunStatus.RUNNING)


async def experiment(request: LabRequest, folder: Path, say: Callable[[str], None]) -> LabReport:
    """`folder` takes all files. Raises `ConfigError` or `Rejected` for what cannot be, `Unavailable` when a part of it
    does not work."""
    faults = Faults() if request.faults is None else load_faults(request.faults, request.devices)
    configs = node_configs(request.app, request.devices, request.seed, folder / "data")
    fab = await to_thread(build_fab, request.app)
    os.environ[SOCKET] = str(folder / "lab.sock")
    federation = Federation(Layout(folder), Ports.free(0), ())
    # each device may ask for the fates of four replies at the same time, and wait
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(64 + 4 * request.devices))
    async with federation.running(say):
        return await _Lab(request, faults, federation.api, fab, say).run(folder, configs)


def node_configs(app: Path, devices: int, seed: int, folder: Path) -> list[dict[str, Value]]:
    """Of each device: its place among them, as Flower's simulation gives it, and what the app's `[tool.flip] lab` adds:
    a function of (folder, devices, seed). Raises `ConfigError` when that gives no data."""
    try:
        project = tomllib.loads((app / "pyproject.toml").read_text())
    except OSError as error:
        raise ConfigError(
            f"{app} is no folder of a Flower app: its pyproject.toml cannot be read: {error.strerror}",
            hint="name one that has it, for example examples/digits",
        ) from error
    except ValueError as error:
        raise ConfigError(f"{app / 'pyproject.toml'} is no TOML: {error}", hint="correct it") from error
    places = [{"partition-id": place, "num-partitions": devices} for place in range(devices)]
    named = project.get("tool", {}).get("flip", {}).get("lab", "")
    if not named:
        return [dict(each) for each in places]
    module, _, name = str(named).partition(":")
    sys.path.insert(0, str(app))
    folder.mkdir()
    try:
        added: list[Mapping[str, Any]] = getattr(importlib.import_module(module), name)(folder, devices, seed)
    except (ImportError, AttributeError, ValueError) as error:
        raise ConfigError(
            f"[tool.flip] lab = {named!r}: {error}", hint="it divides data among virtual devices"
        ) from error
    return [{**place, **each} for place, each in zip(places, added, strict=True)]


class _Lab:
    def __init__(
        self, request: LabRequest, faults: Faults, api: HubApi, fab: bytes, say: Callable[[str], None]
    ) -> None:
        self._request = request
        self._faults = faults
        self._api = api
        self._fab = fab
        self._say = say
        self._timeline = Timeline()
        self._devices: dict[str, VirtualDevice] = {}
        """By node."""
        self._story = Story(lambda node: self._devices[node].name if node in self._devices else f"node {node}")

    async def run(self, folder: Path, configs: Sequence[Mapping[str, Value]]) -> LabReport:
        workers = Workers(self._request.workers, _APP_TIMEOUT, folder)
        async with AsyncExitStack() as stack:
            stack.push_async_callback(workers.stop)
            lines = ServerApps(folder / "lab.sock", self._timeline, self._hear)
            await stack.enter_async_context(lines.answered())
            devices = [
                VirtualDevice(number, self._fortune(number), folder, self._timeline, workers, config)
                for number, config in enumerate(configs, 1)
            ]
            await self._enrol(devices, stack)
            async with self._living(devices):
                run = await self._submit()
                detail = await self._ended(run, lines.failure)
                await self._timeline.to_the_end()
                await self._settled(devices)
            accounts = Accounts(self._request, self._story, devices)
            return accounts.report(await to_thread(self._last, run.id, detail), self._timeline.now)

    def _fortune(self, number: int) -> Fortune:
        return Fortune(self._faults, self._request.seed, number)

    async def _enrol(self, devices: Sequence[VirtualDevice], stack: AsyncExitStack) -> None:
        self._say(f"enrolling {len(devices)} virtual devices")
        wanted = EnrolmentTokenRequest(lifetime=3600.0, uses=len(devices))
        token = (await to_thread(self._api.create_enrolment_token, wanted)).token
        gate = asyncio.Semaphore(_ENROL_AT_ONCE)

        async def enrol(device: VirtualDevice) -> None:
            async with gate:
                await device.enrol(self._api.url, token, self._request.seed)
            stack.callback(device.hang_up)
            stack.push_async_callback(device.switch_off)
            self._devices[device.node] = device

        async with asyncio.TaskGroup() as group:
            for device in devices:
                group.create_task(enrol(device))

    @asynccontextmanager
    async def _living(self, devices: Sequence[VirtualDevice]) -> AsyncGenerator[None]:
        async with asyncio.TaskGroup() as group:
            lives = [group.create_task(self._timeline.living(device.live)) for device in devices]
            lives.append(group.create_task(self._keep_leases(devices)))
            yield
            for life in lives:
                life.cancel()

    async def _keep_leases(self, devices: Sequence[VirtualDevice]) -> None:
        while True:
            await asyncio.sleep(_RENEW_EVERY)
            for device in devices:
                with contextlib.suppress(Unavailable):
                    await device.renew()

    async def _submit(self) -> Run:
        request = self._request
        app = await to_thread(self._api.upload_app, self._fab)
        wanted = RunRequest(
            fab_hash=app.fab_hash, config=request.config, promote="none", metric=request.metric, plan=request.plan
        )
        return await to_thread(self._api.start_run, wanted)

    async def _ended(self, run: Run, failure: asyncio.Future[None]) -> RunDetail:
        while True:
            if failure.done():
                failure.result()
            detail = await to_thread(self._api.run, run.id)
            if detail.run.status not in _UNDER_WAY:
                return detail
            await asyncio.wait([failure], timeout=_LOOK_EVERY)

    async def _settled(self, devices: Sequence[VirtualDevice]) -> None:
        try:
            async with asyncio.timeout(_SETTLES_WITHIN):
                for device in devices:
                    await device.settled()
        except TimeoutError as error:
            raise Unavailable(f"devices wait for the fate of replies for {_SETTLES_WITHIN:g} s") from error

    def _last(self, run_id: str, detail: RunDetail) -> LastWord:
        versions = [each.version for each in self._api.run(run_id).rounds if each.version is not None]
        model = ""
        if versions:
            known = self._api.versions(detail.run.app.split()[0])
            model = next((each.manifest.weights.sha256 for each in known if each.version == versions[-1]), "")
        return LastWord(run=detail.run, contributions=self._api.contributions(run_id), model=model)

    def _hear(self, report: RunReport) -> None:
        if isinstance(report, RoundFinished):  # of a strategy without rounds evaluations come later, and are told again
            what = "evaluated " if self._story.has_ended(report.round) else ""
            self._say(f"round {report.round} {what}after {in_hours(self._timeline.now)} of the lab")
        self._story.hear(report, self._timeline.now)
        for node in nodes_of(report):
            if node in self._devices:
                self._timeline.call(self._devices[node].number)
