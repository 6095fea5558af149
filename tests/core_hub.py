"""The hub without models and runs, on a real port and a real MongoDB, for the tests of its core."""

import asyncio
import base64
import secrets
import ssl
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import msgspec
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from litestar.types import ControllerRouterHandler

from flip_demo.ports import free_port
from flip_hub.admin_socket import AdminSocket
from flip_hub.api_server import ApiServer
from flip_hub.app import create_app
from flip_hub.auth.permissions import Role
from flip_hub.core import ROUTES, Core, build_core
from flip_hub.credentials import CA, api_certificate, make_credentials
from flip_hub.health import Health
from flip_hub.mongo import Mongo
from flip_hub.observability.metrics import Metrics
from flip_hub.observability.requests import RequestAccount
from flip_hub.observability.spans import SpanQueue
from flip_hub.registry.schema import prepare_registry
from flip_hub.settings import (
    AuthSection,
    ClusterSection,
    DevicesSection,
    HubSection,
    MongoSection,
    OidcSection,
    Settings,
    UpdatesSection,
)
from flip_hub.tls import ServerCertificate
from flip_wire.fleet import DeviceId, DeviceToken, Enrolled, EnrolRequest, TokenRequest, token_assertion
from flip_wire.problem import Problem
from flip_wire.telemetry import Batch, Event, Priority, Seq, Stamp
from flip_wire.version import HEADER, WIRE_VERSION
from sessions import log_in_each_role

SPOKEN = {HEADER: str(WIRE_VERSION)}
"""What each call of a device says."""
_UNKNOWN = DeviceId("")
Beside = Callable[[Core, Mongo, Settings], tuple[list[ControllerRouterHandler], dict[str, object]]]


@dataclass(frozen=True)
class TestDevice:
    """A device as the hub sees it: a key, and an id once it is enrolled."""

    __test__ = False

    key: ec.EllipticCurvePrivateKey
    id: DeviceId = _UNKNOWN
    token: str = ""

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}", **SPOKEN}

    @property
    def public_key(self) -> str:
        form = serialization.PublicFormat.SubjectPublicKeyInfo
        return self.key.public_key().public_bytes(serialization.Encoding.PEM, form).decode()

    def assertion(self, *, at: float | None = None, nonce: str | None = None, life: str = "") -> TokenRequest:
        issued_at, nonce = at if at is not None else time.time(), nonce or secrets.token_hex(16)
        signature = self.key.sign(token_assertion(self.id, issued_at, nonce, life), ec.ECDSA(hashes.SHA256()))
        text = base64.b64encode(signature).decode()
        return TokenRequest(device_id=self.id, issued_at=issued_at, nonce=nonce, signature=text, life=life)


@dataclass(frozen=True)
class CoreHub:
    url: str
    core: Core
    mongo: Mongo
    settings: Settings
    http: httpx.AsyncClient
    certificate: ServerCertificate | None
    bearers: dict[Role, str]

    def as_user(self, role: Role = Role.ADMIN) -> dict[str, str]:
        """Named as the role."""
        return {"Authorization": f"Bearer {self.bearers[role]}"}

    async def post(self, path: str, body: object, headers: dict[str, str] | None = None) -> httpx.Response:
        return await self.http.post(path, content=msgspec.json.encode(body), headers=headers)

    async def enrolment_token(self, lifetime: float = 60.0) -> str:
        answer = await self.post("/api/v1/enrolment-tokens", {"lifetime": lifetime}, self.as_user())
        assert answer.status_code == 201, answer.text
        return answer.json()["token"]

    async def try_enrol(self, device: TestDevice, token: str, name: str = "box", **changes: Any) -> httpx.Response:
        request = EnrolRequest(token=token, name=name, public_key=device.public_key, agent_version="0.1.0")
        return await self.post("/api/v1/enrol", msgspec.structs.replace(request, **changes))

    async def enrol(self, name: str = "box") -> TestDevice:
        """A device with a token, ready to call."""
        device = new_device()
        answer = await self.try_enrol(device, await self.enrolment_token(), name)
        assert answer.status_code == 201, answer.text
        device = TestDevice(device.key, msgspec.json.decode(answer.content, type=Enrolled).device_id)
        token = await self.post("/api/v1/device/token", device.assertion())
        assert token.status_code == 200, token.text
        return TestDevice(device.key, device.id, msgspec.json.decode(token.content, type=DeviceToken).token)


def new_device() -> TestDevice:
    return TestDevice(ec.generate_private_key(ec.SECP384R1()))


def problem(answer: httpx.Response, status: int) -> Problem:
    """Every refusal is a problem detail."""
    assert answer.status_code == status, answer.text
    assert answer.headers["Content-Type"] == "application/problem+json"
    told = msgspec.json.decode(answer.content, type=Problem, strict=True)
    assert told.status == status
    assert told.detail
    assert "Traceback" not in answer.text
    return told


def log_batch(seqs: Sequence[int], *, epoch: str = "e1", kind: str = "log", body: object = None) -> Batch:
    events = [
        Event(
            seq=Seq(seq),
            kind=kind,
            at=Stamp(wall=time.time(), monotonic=1.0, boot_id="boot"),
            body=msgspec.Raw(msgspec.json.encode({"text": f"line {seq}"} if body is None else body)),
        )
        for seq in seqs
    ]
    return Batch(epoch=epoch, priority=Priority.LOG, events=events)


@asynccontextmanager
async def running_core(
    folder: Path,
    mongo_url: str,
    *,
    heartbeat: float = 30.0,
    batches: int = 200,
    access_lifetime: float = 900.0,
    people: bool = True,
    oidc: OidcSection | None = None,
    cluster: str = "",
    beside: Beside | None = None,
    updates: UpdatesSection | None = None,
    **api: Any,
) -> AsyncGenerator[CoreHub]:
    """`batches`: as many as a device may send at once; `cluster`: this hub's name, when it is not the only one;
    `beside`: gives further routes, and what their handlers ask for; `api`: of the section `[hub]`. Without `people`
    nobody has an account."""
    database = f"test_{secrets.token_hex(6)}"
    settings = Settings(
        hub=msgspec.structs.replace(HubSection(state=folder / "hub", port=free_port(), tls=False), **api),
        mongo=MongoSection(url=mongo_url, database=database),
        devices=DevicesSection(heartbeat=heartbeat, batches_at_once=batches),
        auth=AuthSection(access_lifetime=access_lifetime),
        oidc=oidc or OidcSection(),
        cluster=ClusterSection(name=cluster),
        updates=updates or UpdatesSection(),
    )
    make_credentials(settings)
    mongo = Mongo(settings.mongo)
    core = build_core(settings, mongo.database)
    routes, asked = ([], {}) if beside is None else beside(core, mongo, settings)
    services = {**core.services, "health": Health({"mongo": mongo.missing}), **asked}
    app = create_app([*ROUTES, *routes], services, access=core.access, prepared=mongo.prepared, audit=core.audit)
    certificate = api_certificate(settings)
    front = core.front(settings.hub, mongo.prepared, RequestAccount(Metrics(), SpanQueue(), None))
    server = asyncio.create_task(ApiServer(app, settings.hub, core.devices.close, certificate, front=front).run())
    admin = asyncio.create_task(AdminSocket(app, settings.hub.admin_socket).run())
    watching = asyncio.create_task(mongo.keep_running(core.devices.watch))
    auditing = asyncio.create_task(mongo.keep_running(core.audit.run))
    taking = asyncio.create_task(core.telemetry.run())
    acting = asyncio.create_task(mongo.keep_running(core.actions.watch))
    url = settings.hub.public_url
    try:
        await mongo.prepare(prepare_registry)
        bearers = await log_in_each_role(core.people) if people else {}
        trusted = ssl.create_default_context(cafile=settings.hub.state / CA)
        async with httpx.AsyncClient(
            base_url=url, timeout=60.0, trust_env=False, verify=trusted, headers=SPOKEN
        ) as http:
            yield CoreHub(url, core, mongo, settings, http, certificate, bearers)
    finally:
        for task in (watching, admin, auditing, taking, acting, server):
            task.cancel()
        await asyncio.wait((watching, admin, auditing, taking, acting, server))
        await mongo.database.client.drop_database(database)
        mongo.close()
