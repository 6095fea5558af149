"""A hub with models and rollouts on a real port and a real registry, and devices that do what a test has them do."""

import asyncio
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest_asyncio
from litestar.types import ControllerRouterHandler
from msgspec.structs import replace

from core_hub import CoreHub, TestDevice, log_batch, running_core
from flip_hub.artifacts.folder import FolderArtifacts
from flip_hub.auth.permissions import Role
from flip_hub.contributions.store import ContributionStore
from flip_hub.core import Core, build_core
from flip_hub.deployments.store import DeploymentStore
from flip_hub.devices.schemas import DevicePatch
from flip_hub.federation.store import RunStore
from flip_hub.lineage.routes import LineageController
from flip_hub.lineage.service import LineageService
from flip_hub.models.deltas import Deltas
from flip_hub.models.routes import DeviceArtifactController, ModelController
from flip_hub.models.service import ModelService
from flip_hub.models.store import ModelStore
from flip_hub.mongo import Mongo
from flip_hub.rollouts.routes import RolloutController
from flip_hub.rollouts.schemas import RingDevice, Rollout
from flip_hub.rollouts.service import RolloutService
from flip_hub.rollouts.store import RolloutStore
from flip_hub.rollouts.watch import RolloutWatch
from flip_hub.settings import RolloutsSection, Settings
from flip_wire.fleet import DesiredState, ReportedState, RolloutFailure, ServingModel
from flip_wire.health import HealthReport
from flip_wire.inference import ModelTraffic
from flip_wire.models import GRAPH, WEIGHTS, FileRef, Manifest, Probe, RolledBack, Sha256, Tensor
from flip_wire.telemetry import Batch, Priority

MODEL = "digits"
HEARTBEAT = 600.0
"""Seconds; a device is silent after two, by the clock of the test."""
LAB = {"name": "lab", "tags": ["lab"], "soak": 60}
HALF = {"name": "half", "share": 0.5, "soak": 60}
EVERYBODY = {"name": "everybody", "soak": 0}


class Clock:
    """The right time, until a test says otherwise."""

    def __init__(self) -> None:
        self.ahead = 0.0

    def __call__(self) -> float:
        return time.time() + self.ahead


@dataclass
class Parts:
    """Of one hub; a restarted one, or another, has others over the same registry."""

    models: ModelService
    rollouts: RolloutService
    watch: RolloutWatch

    @classmethod
    def over(cls, core: Core, mongo: Mongo, settings: Settings, clock: Clock) -> "Parts":
        artifacts = FolderArtifacts(settings.hub.state / "model files")
        models = ModelService(ModelStore(mongo.database), artifacts, core.devices, core.live, core.model_signer)
        store, bus = RolloutStore(mongo.database), core.shared.bus
        return cls(
            models=models,
            rollouts=RolloutService(store, core.devices, models, core.live, bus, settings, clock),
            watch=RolloutWatch(store, core.devices, models, core.audit, core.live, bus, settings, clock),
        )


@dataclass
class RolloutHub:
    hub: CoreHub
    parts: Parts
    clock: Clock
    artifacts: FolderArtifacts
    settings: Settings

    async def box(self, name: str, **patch: Any) -> "Box":
        device = await self.hub.enrol(name)
        if patch:
            await self.hub.core.devices.patch(device.id, DevicePatch(**patch))
        return Box(self.hub, device)

    async def add_version(self, number: int, model: str = MODEL) -> None:
        """Of files that look like one."""
        probe = Probe(inputs=[Tensor(name="x", dtype="float32", shape=[1], data=[0.5])], outputs=[])
        made = await self.parts.models.register(
            Manifest(
                model=model,
                version=0,
                created_at=time.time(),
                weights=await self._file(WEIGHTS, b"weights %d" % number),
                graph=await self._file(GRAPH, b"graph"),
                probe=probe,
                run_id=f"run-{number}",
            )
        )
        assert made.version == number

    async def try_start(self, version: int, *rings: dict[str, Any], **request: Any) -> httpx.Response:
        body = {"model": MODEL, "version": version, "rings": list(rings), **request}
        return await self.hub.post("/api/v1/rollouts", body, self.hub.as_user(Role.OPERATOR))

    async def start(self, version: int, *rings: dict[str, Any], **request: Any) -> Rollout:
        """And the hub has had a look."""
        answer = await self.try_start(version, *rings, **request)
        assert answer.status_code == 201, answer.text
        await self.parts.watch.look()
        return msgspec.json.decode(answer.content, type=Rollout)

    async def ask(self, rollout: Rollout, what: str, reason: str = "", role: Role = Role.OPERATOR) -> httpx.Response:
        return await self.hub.post(f"/api/v1/rollouts/{rollout.id}/{what}", {"reason": reason}, self.hub.as_user(role))

    async def look(self, *boxes: "Box", later: float = 0.0) -> None:
        """After `later` seconds these devices do what is wanted of them and say so; the hub has looked before and
        after."""
        self.clock.ahead += later
        await self.parts.watch.look()
        await asyncio.gather(*(box.act() for box in boxes))
        await self.parts.watch.look()

    async def rollout(self, rollout: Rollout) -> Rollout:
        answer = await self.hub.http.get(f"/api/v1/rollouts/{rollout.id}", headers=self.hub.as_user(Role.VIEWER))
        return msgspec.json.decode(answer.content, type=Rollout)

    async def devices(self, rollout: Rollout, **asked: str) -> dict[str, RingDevice]:
        """By name."""
        path = f"/api/v1/rollouts/{rollout.id}/devices"
        answer = await self.hub.http.get(path, params=asked, headers=self.hub.as_user(Role.VIEWER))
        assert answer.status_code == 200, answer.text
        return {each.name: each for each in msgspec.json.decode(answer.content, type=list[RingDevice])}

    async def promoted(self) -> list[int]:
        answer = await self.hub.http.get(f"/api/v1/models/{MODEL}/versions", headers=self.hub.as_user())
        return [each["version"] for each in answer.json() if each["promoted"]]

    def restarted(self) -> "RolloutHub":
        """Another process of the hub, over the same registry."""
        core = build_core(self.settings, self.hub.mongo.database)
        return replace_parts(self, Parts.over(core, self.hub.mongo, self.settings, self.clock))

    async def _file(self, name: str, content: bytes) -> FileRef:
        return FileRef(name=name, sha256=await self.artifacts.put(content), size=len(content))


def replace_parts(hub: RolloutHub, parts: Parts) -> RolloutHub:
    return RolloutHub(hub.hub, parts, hub.clock, hub.artifacts, hub.settings)


@dataclass
class Box:
    """A device that serves what is wanted, unless a test says otherwise."""

    hub: CoreHub
    device: TestDevice
    refuses: set[int] = field(default_factory=set[int])
    """Versions whose probe it does not get."""
    gives_up: set[int] = field(default_factory=set[int])
    """Versions that its guard goes back from."""
    traffic: dict[int, ModelTraffic] = field(default_factory=dict[int, ModelTraffic])
    serves: int | None = None
    failures: list[RolloutFailure] = field(default_factory=list[RolloutFailure])
    generation: int = 0
    _seq: int = 0

    async def wanted(self) -> int | None:
        answer = await self.hub.http.get("/api/v1/device/desired", headers=self.device.headers)
        desired = msgspec.json.decode(answer.content, type=DesiredState)
        self.generation = desired.generation
        return next((each.version for each in desired.models if each.model == MODEL), None)

    def answers(self, version: int, requests: int, **told: float) -> None:
        """In its health it tells of so many answers of that version."""
        known = ModelTraffic(
            model=MODEL,
            version=version,
            instance="default",
            requests=requests,
            rows=requests,
            refused=0,
            failed=0,
            p50=0.01,
            p99=0.02,
            queue=0,
            swaps=0,
            rollbacks=0,
        )  # pyright: ignore[reportArgumentType]
        self.traffic[version] = replace(known, **told)

    async def act(self) -> None:
        """Does what is wanted, and reports."""
        version = await self.wanted()
        self.failures = []
        if version is not None and version in self.refuses:
            self.failures = [RolloutFailure(model=MODEL, version=version, reason="probe differs by 0.5")]
        elif version is not None and version in self.gives_up and version != self.serves:
            self.failures = [RolloutFailure(model=MODEL, version=version, reason="rolled back: it fails")]
            await self._send(Priority.ALERT, rollback=_rolled_back(version, self.serves or 0))
        elif version is not None:
            self.serves = version
        await self.report()

    async def report(self) -> None:
        serving = [] if self.serves is None else [ServingModel(model=MODEL, version=self.serves, since=1.0, url="")]
        state = ReportedState(
            generation=self.generation, agent_version="1", training="idle", serving=serving, failures=self.failures
        )
        health = HealthReport(
            uptime=1.0, rss=1, load=0.1, disk_free=10**12, outbox_depth=0, outbox_oldest=None, dropped=0,
            inference=list(self.traffic.values()),
        )  # fmt: skip
        await self._send(Priority.HEALTH, state=state, health=health)

    async def _send(self, priority: Priority, **bodies: object) -> None:
        """By kind."""
        events = [
            log_batch([self._seq + number], kind=kind, body=body).events[0]
            for number, (kind, body) in enumerate(bodies.items(), 1)
        ]
        self._seq += len(events)
        batch = Batch(epoch="e1", priority=priority, events=events)
        answer = await self.hub.post("/api/v1/device/telemetry", batch, self.device.headers)
        assert answer.status_code == 200, answer.text


def _rolled_back(version: int, to_version: int) -> RolledBack:
    return RolledBack(
        model=MODEL, version=version, manifest=Sha256("c" * 64), to_version=to_version, reason="it fails", at=1.0
    )


@asynccontextmanager
async def running_rollouts(
    folder: Path, mongo_url: str, rollouts: RolloutsSection | None = None, heartbeat: float = HEARTBEAT
) -> AsyncGenerator[RolloutHub]:
    clock, made = Clock(), list[tuple[Parts, Settings]]()

    def beside(core: Core, mongo: Mongo, settings: Settings) -> tuple[list[ControllerRouterHandler], dict[str, object]]:
        settings = replace(settings, rollouts=rollouts or RolloutsSection())
        parts = Parts.over(core, mongo, settings, clock)
        made.append((parts, settings))
        artifacts = FolderArtifacts(settings.hub.state / "model files")
        database = mongo.database
        lineage = LineageService(
            *(parts.models, RunStore(database), ContributionStore(database)),
            *(DeploymentStore(database), RolloutStore(database)),
        )
        services: dict[str, object] = {
            "models": parts.models,
            "deltas": Deltas(folder / "deltas known", FolderArtifacts(folder / "deltas"), artifacts, parts.models),
            "rollouts": parts.rollouts,
            "artifacts": artifacts,
            "lineage": lineage,
        }
        return [ModelController, DeviceArtifactController, RolloutController, LineageController], services

    async with running_core(folder, mongo_url, heartbeat=heartbeat, beside=beside) as hub:
        ((parts, settings),) = made
        artifacts = FolderArtifacts(settings.hub.state / "model files")
        artifacts.create()
        yield RolloutHub(hub, parts, clock, artifacts, settings)


@pytest_asyncio.fixture
async def hub(folder: Path, mongo_url: str) -> AsyncGenerator[RolloutHub]:
    """Two versions, of which everybody serves the first."""
    async with running_rollouts(folder, mongo_url) as hub:
        for version in (1, 2, 3):
            await hub.add_version(version)
        await hub.parts.models.promote("digits", 1)
        yield hub


@pytest_asyncio.fixture
async def boxes(hub: RolloutHub) -> list[Box]:
    """The first is in the lab; all serve the first version."""
    boxes = [await hub.box(f"box {number}", **({"tags": ["lab"]} if number == 0 else {})) for number in range(6)]
    await hub.look(*boxes)
    return boxes


async def wanted(boxes: list[Box]) -> list[int | None]:
    return [await box.wanted() for box in boxes]
