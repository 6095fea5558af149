"""The hub's registry of models and runs over a real mongod and real files, without Flower and without a port."""

import time
import zipfile
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any, cast
from uuid import uuid4

import httpx

from core_hub import SPOKEN
from flip_hub.app import create_app
from flip_hub.apps.keys import AppKeys
from flip_hub.apps.routes import AppController
from flip_hub.apps.service import AppService
from flip_hub.apps.signatures import load_private_key, make_private_key
from flip_hub.apps.store import AppKeyStore, AppStore
from flip_hub.artifacts.folder import FolderArtifacts
from flip_hub.audit.head import HeadFile
from flip_hub.audit.service import Audit
from flip_hub.audit.store import AuditStore
from flip_hub.auth.guards import Access
from flip_hub.auth.permissions import Role
from flip_hub.auth.tokens import Tokens
from flip_hub.cluster.bus import Bus
from flip_hub.cluster.shared import shared_by
from flip_hub.contributions.foldable import FoldableReplies
from flip_hub.contributions.late import Late
from flip_hub.contributions.receipts import Receipts
from flip_hub.contributions.room import Room
from flip_hub.contributions.routes import ContributionController, LateController, ReceiptController, SealKeyController
from flip_hub.contributions.run_contributions import RunContributions
from flip_hub.contributions.store import ContributionStore
from flip_hub.datasets.routes import DatasetController
from flip_hub.datasets.service import DatasetService
from flip_hub.datasets.store import DatasetStore
from flip_hub.deployments.store import DeploymentStore
from flip_hub.devices.record import DeviceRecord
from flip_hub.devices.service import DeviceService
from flip_hub.devices.store import DeviceStore
from flip_hub.federation.internal import InternalController
from flip_hub.federation.journal import Journals
from flip_hub.federation.log_events import LogEvents
from flip_hub.federation.mailboxes import Mailboxes
from flip_hub.federation.nodes import Nodes
from flip_hub.federation.participants import Participants
from flip_hub.federation.routes import RunController
from flip_hub.federation.run_reports import RunReports
from flip_hub.federation.run_watch import RunWatch
from flip_hub.federation.runs import build_runs
from flip_hub.federation.service import RunService
from flip_hub.federation.standby import Standby
from flip_hub.federation.store import RunStore
from flip_hub.federation.strategy_routes import StrategyController
from flip_hub.federation.upstream import Upstream
from flip_hub.lineage.routes import LineageController
from flip_hub.lineage.service import LineageService
from flip_hub.live import LiveHub
from flip_hub.models.deltas import Deltas
from flip_hub.models.routes import DeviceArtifactController, ModelController
from flip_hub.models.service import ModelService
from flip_hub.models.signing import ModelSigner
from flip_hub.models.store import ModelStore
from flip_hub.mongo import Mongo
from flip_hub.people import build_people
from flip_hub.receipts.store import ChainStore
from flip_hub.receipts.writer import ReceiptChain
from flip_hub.registry.schema import prepare_registry
from flip_hub.rollouts.service import RolloutService
from flip_hub.rollouts.store import RolloutStore
from flip_hub.settings import MongoSection, RolloutsSection, Settings
from flip_hub.uploads.routes import UploadController
from flip_hub.uploads.service import Uploads
from flip_wire.fleet import DeviceId
from flip_wire.models import GRAPH, WEIGHTS, FileRef, Manifest, Probe, Tensor
from integration.scripted_control import ScriptedControl
from sessions import log_in

INTERNAL_SECRET = b"internal secret of a test"
SIGNER = ModelSigner(load_private_key(make_private_key()))


_PYPROJECT = """
[project]
name = "tiny"
version = "1.2.0"
dependencies = ["flwr>=1.29.0"]
license = {{ file = "LICENSE" }}
[tool.flip]
{export}
[tool.flwr.app]
publisher = "someone"
fab-format-version = 1
flwr-version-target = "1.29.0"
[tool.flwr.app.components]
serverapp = "tiny.app:server"
clientapp = "tiny.app:client"
[tool.flwr.app.config]
num-server-rounds = 3
rate = 0.1
"""


def fab_of(export: str | None = None) -> bytes:
    """A Flower app in a file."""
    content = BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr("pyproject.toml", _PYPROJECT.format(export=f'export = "{export}"' if export else ""))
        archive.writestr("tiny/app.py", "server = client = None\n")
        archive.writestr("tiny/export.py", "export = None\n")
    return content.getvalue()


class Clock:
    """The right time, until a test says otherwise."""

    def __init__(self) -> None:
        self.ahead = 0.0

    def __call__(self) -> float:
        return time.time() + self.ahead


@dataclass(frozen=True, kw_only=True)
class HubParts:
    mongo: Mongo
    live: LiveHub
    devices: DeviceService
    device_store: DeviceStore
    artifacts: FolderArtifacts
    models: ModelService
    deltas: Deltas
    control: ScriptedControl
    mailboxes: Mailboxes
    apps: AppService
    uploads: Uploads
    datasets: DatasetService
    run_store: RunStore
    runs: RunService
    reports: RunReports
    watch: RunWatch
    participants: Participants
    receipts: Receipts
    late: Late
    foldable: FoldableReplies
    tokens: Tokens
    clock: "Clock"

    async def enrol(self, name: str, node: str | None = None) -> DeviceId:
        """As if it had been enrolled, and had joined Flower's fleet as that node."""
        device = DeviceId(f"dev-{name}")
        now = time.time()
        record = DeviceRecord(
            id=device,
            name=name,
            public_key="",
            fingerprint=name,
            enrolled_at=now,
            agent_version="0",
            last_seen=now,
            node_id=node,
        )
        await self.device_store.add(record)
        return device

    async def manifest(
        self, *, model: str = "tiny", run_id: str = "", round: int = 1, deployable: bool = True, **metrics: float
    ) -> Manifest:
        """Of files that are stored."""
        weights = await self._file(WEIGHTS, f"weights of {model} {run_id} {round}".encode() * 1000)
        graph = await self._file(GRAPH, f"graph of {model}".encode()) if deployable else None
        probe = Probe(inputs=[Tensor(name="x", dtype="float32", shape=[1], data=[0.5])], outputs=[])
        return Manifest(
            model=model,
            version=0,
            created_at=time.time(),
            weights=weights,
            graph=graph,
            probe=probe if deployable else None,
            run_id=run_id,
            round=round,
            metrics=metrics,
        )

    @asynccontextmanager
    async def http(self, username: str = "ada", role: Role = Role.ADMIN) -> AsyncGenerator[httpx.AsyncClient]:
        """The API; that person's token is on every call unless another is given."""
        settings = Settings()
        audit = Audit(AuditStore(self.mongo.database), HeadFile(Path(), b"secret"))
        people = build_people(settings, self.mongo.database, shared_by(settings.redis), self.tokens, audit)
        app = create_app(
            [
                ModelController,
                DeviceArtifactController,
                AppController,
                RunController,
                StrategyController,
                LateController,
                ContributionController,
                ReceiptController,
                SealKeyController,
                LineageController,
                InternalController,
                UploadController,
                DatasetController,
            ],
            {
                "devices": self.devices,
                "models": self.models,
                "deltas": self.deltas,
                "artifacts": self.artifacts,
                "apps": self.apps,
                "uploads": self.uploads,
                "datasets": self.datasets,
                "runs": self.runs,
                "reports": self.reports,
                "participants": self.participants,
                "log_events": LogEvents(self.runs, self.control),
                "foldable": self.foldable,
                "late": self.late,
                "receipts": self.receipts,
                "run_contributions": RunContributions(ContributionStore(self.mongo.database)),
                "lineage": LineageService(
                    self.models,
                    self.run_store,
                    ContributionStore(self.mongo.database),
                    DeploymentStore(self.mongo.database),
                    RolloutStore(self.mongo.database),
                ),
            },
            access=Access(people.callers, self.tokens, self.devices, INTERNAL_SECRET),
            prepared=self.mongo.prepared,
        )
        token = await log_in(people, username, role)
        async with httpx.AsyncClient(
            transport=httpx.ASGITransport(cast(Any, app)),
            base_url="http://hub",
            headers={"Authorization": f"Bearer {token}", **SPOKEN},
        ) as client:
            yield client

    async def _file(self, name: str, content: bytes) -> FileRef:
        return FileRef(name=name, sha256=await self.artifacts.put(content), size=len(content))


@asynccontextmanager
async def hub_parts(
    mongo_url: str, folder: Path, rollouts_settings: RolloutsSection | None = None
) -> AsyncGenerator[HubParts]:
    settings = Settings(
        mongo=MongoSection(url=mongo_url, database=f"test-{uuid4().hex[:12]}"),
        rollouts=rollouts_settings or RolloutsSection(),
    )
    mongo = Mongo(settings.mongo)
    live, mailboxes, control = LiveHub(), Mailboxes(), ScriptedControl()
    device_store, app_store, key_store, model_store, run_store = (
        DeviceStore(mongo.database),
        AppStore(mongo.database),
        AppKeyStore(mongo.database),
        ModelStore(mongo.database),
        RunStore(mongo.database),
    )
    devices = DeviceService(device_store, live, Bus(), settings)
    standby = Standby(devices, Nodes(Upstream("http://127.0.0.1:1")), lease=60.0)  # without a SuperLink
    artifacts = FolderArtifacts(folder / "artifacts")
    models = ModelService(model_store, artifacts, devices, live, SIGNER)
    deltas = Deltas(folder / "deltas known", FolderArtifacts(folder / "deltas"), artifacts, models)
    deltas.create()
    keys = AppKeys(key_store, load_private_key(make_private_key()), hub_signs=True)
    uploads = Uploads(folder / "uploads", settings.uploads)
    uploads.create()
    apps = AppService(app_store, artifacts, keys)
    contribution_store = ContributionStore(mongo.database)
    clock = Clock()
    chain = ReceiptChain(ChainStore(mongo.database), contribution_store, SIGNER)
    receipts = Receipts(contribution_store, run_store, mailboxes, Journals(folder / "runs"), chain)
    rollouts = RolloutService(RolloutStore(mongo.database), devices, models, live, Bus(), settings)
    datasets = DatasetService(DatasetStore(mongo.database), FolderArtifacts(folder / "datasets"), uploads)
    runs = build_runs(run_store, control, devices, models, rollouts, live, mailboxes, apps, receipts, standby, datasets)
    try:
        await mongo.prepare(prepare_registry)
        yield HubParts(
            mongo=mongo,
            live=live,
            devices=devices,
            device_store=device_store,
            artifacts=artifacts,
            models=models,
            deltas=deltas,
            control=control,
            mailboxes=mailboxes,
            apps=apps,
            uploads=uploads,
            datasets=datasets,
            run_store=run_store,
            runs=runs.service,
            reports=runs.reports,
            watch=runs.watch,
            participants=runs.participants,
            receipts=receipts,
            foldable=FoldableReplies(
                contribution_store, run_store, receipts.journals, FolderArtifacts(folder / "late")
            ),
            late=Late(
                contribution_store,
                run_store,
                FolderArtifacts(folder / "late"),
                live,
                per_run=2,
                most_bytes=10_000,
                room=Room(each=2, each_bytes=8_000, all=3, all_bytes=12_000),
                clock=clock,
            ),
            clock=clock,
            tokens=Tokens(b"token secret of a test, long enough", settings.auth),
        )
    finally:
        mongo.close()
