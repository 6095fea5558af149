"""Two hubs with one registry and one state folder, each with its API and its gateway; no bus is between them unless a
test connects one."""

import asyncio
import secrets
import ssl
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import msgspec

from core_hub import SPOKEN, TestDevice
from flip_demo.ports import free_port
from flip_hub.api_server import ApiServer
from flip_hub.app import create_app
from flip_hub.artifacts.folder import FolderArtifacts
from flip_hub.core import ROUTES, Core, build_core
from flip_hub.credentials import make_credentials
from flip_hub.enrolment.schemas import EnrolmentTokenRequest
from flip_hub.federation.gateway import Gateway
from flip_hub.federation.mailboxes import Mailboxes
from flip_hub.health import Health
from flip_hub.models.deltas import Deltas
from flip_hub.models.routes import DeviceArtifactController
from flip_hub.models.service import ModelService
from flip_hub.models.store import ModelStore
from flip_hub.mongo import Mongo
from flip_hub.observability.metrics import Metrics
from flip_hub.observability.requests import RequestAccount
from flip_hub.observability.spans import SpanQueue
from flip_hub.registry.schema import prepare_registry
from flip_hub.settings import (
    ClusterSection,
    FleetSection,
    HubSection,
    MongoSection,
    RedisSection,
    Settings,
    SuperlinkSection,
)
from flip_wire.fleet import DeviceId, DeviceToken, EnrolRequest
from flip_wire.models import Sha256
from integration.fleet_rig import NodeKey, Registry, running
from integration.gateway_rig import StubSuperlink, serving


class _OffersAll(ModelService):
    async def offers(self, artifact: Sha256) -> bool:
        return True


@dataclass(frozen=True)
class OneOfTwo:
    core: Core
    settings: Settings
    artifacts: FolderArtifacts
    http: httpx.AsyncClient
    fleet: httpx.AsyncClient

    async def enrol(self, name: str) -> tuple[TestDevice, NodeKey]:
        node = NodeKey()
        device = TestDevice(node.private)
        token = await self.core.services["enrolment"].create_token(EnrolmentTokenRequest(), by="a test")  # pyright: ignore
        request = EnrolRequest(token=token.token, name=name, public_key=device.public_key, agent_version="0.1.0")
        enrolled = await self.http.post("/api/v1/enrol", content=msgspec.json.encode(request))
        device = TestDevice(device.key, DeviceId(enrolled.json()["device_id"]))
        answer = await self.http.post("/api/v1/device/token", content=msgspec.json.encode(device.assertion()))
        return TestDevice(device.key, device.id, msgspec.json.decode(answer.content, type=DeviceToken).token), node


@asynccontextmanager
async def two_hubs(folder: Path, mongo_url: str, redis: RedisSection | None = None) -> AsyncGenerator[list[OneOfTwo]]:
    database = f"test_{secrets.token_hex(6)}"
    async with AsyncExitStack() as stack:
        hubs = [
            await stack.enter_async_context(_hub(folder, mongo_url, database, redis or RedisSection()))
            for _ in range(2)
        ]
        yield hubs


@asynccontextmanager
async def _hub(folder: Path, mongo_url: str, database: str, redis: RedisSection) -> AsyncGenerator[OneOfTwo]:
    settings = Settings(
        hub=HubSection(state=folder / "hub", port=free_port(), tls=False),
        mongo=MongoSection(url=mongo_url, database=database),
        fleet=FleetSection(port=free_port()),
        superlink=SuperlinkSection(port=free_port()),
        redis=redis,
        cluster=ClusterSection(name=f"hub-{secrets.token_hex(4)}"),
    )
    make_credentials(settings)
    mongo = Mongo(settings.mongo)
    core = build_core(settings, mongo.database)
    artifacts = FolderArtifacts(folder / "artifacts")
    artifacts.create()
    models = _OffersAll(ModelStore(mongo.database), artifacts, core.devices, core.live, core.model_signer)
    deltas = Deltas(folder / "deltas known", FolderArtifacts(folder / "deltas"), artifacts, models)
    app = create_app(
        [*ROUTES, DeviceArtifactController],
        {**core.services, "health": Health({}), "models": models, "deltas": deltas, "artifacts": artifacts},
        access=core.access,
        prepared=mongo.prepared,
    )
    front = core.front(settings.hub, mongo.prepared, RequestAccount(Metrics(), SpanQueue(), None))
    registry = Registry()
    gateway = Gateway(settings, core.devices, registry, Mailboxes(), registry)
    url = f"http://127.0.0.1:{settings.hub.port}"
    ca = ssl.create_default_context(cafile=settings.hub.state / "ca.pem")
    await mongo.prepare(prepare_registry)
    tasks = [
        asyncio.create_task(mongo.keep_running(core.devices.watch)),
        asyncio.create_task(core.telemetry.run()),
        *([] if core.shared.run is None else [asyncio.ensure_future(core.shared.run())]),
    ]
    try:
        async with (
            running(ApiServer(app, settings.hub, core.devices.close, None, front=front).run(), settings.hub.port),
            serving(StubSuperlink(), settings.superlink.port),
            running(gateway.run(), settings.fleet.port),
            httpx.AsyncClient(base_url=url, timeout=60.0, trust_env=False, headers=SPOKEN) as http,
            httpx.AsyncClient(
                base_url=f"https://localhost:{settings.fleet.port}/v1/fleet",
                verify=ca,
                timeout=60.0,
                trust_env=False,
            ) as fleet,
        ):
            yield OneOfTwo(core, settings, artifacts, http, fleet)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
        mongo.close()
