"""What the hub is without models and runs: accounts, devices, enrolment, telemetry, live frames, console."""

import asyncio
from dataclasses import dataclass

from litestar.types import ControllerRouterHandler

from flip_hub.actions.routes import ActionController
from flip_hub.actions.service import ActionService
from flip_hub.actions.store import ActionStore
from flip_hub.alerts.routes import AlertController, SilenceController
from flip_hub.alerts.service import AlertService
from flip_hub.alerts.store import AlertStore
from flip_hub.apps.keys import AppKeys
from flip_hub.apps.routes import AppKeyController
from flip_hub.apps.store import AppKeyStore
from flip_hub.artifacts.place import artifacts_in
from flip_hub.audit.build import audit_of
from flip_hub.audit.routes import AuditController
from flip_hub.audit.service import Audit
from flip_hub.auth.guards import Access
from flip_hub.auth.tokens import Tokens
from flip_hub.cluster.shared import Shared, shared_by
from flip_hub.console.routes import serve_console
from flip_hub.console.site import Site
from flip_hub.credentials import CA, load_credentials
from flip_hub.datasets.routes import DatasetController
from flip_hub.datasets.service import DatasetService
from flip_hub.datasets.store import DatasetStore
from flip_hub.deployments.store import DeploymentStore
from flip_hub.device_front import DeviceFront
from flip_hub.devices.assertions import Assertions
from flip_hub.devices.routes import DesiredController, DeviceController, FleetController
from flip_hub.devices.service import DeviceService
from flip_hub.devices.store import DeviceStore
from flip_hub.enrolment.routes import EnrolmentController
from flip_hub.enrolment.service import EnrolmentService
from flip_hub.enrolment.store import EnrolmentStore
from flip_hub.health import HealthController
from flip_hub.intake.store import IntakeStore
from flip_hub.live import LiveHub
from flip_hub.live_routes import live_frames
from flip_hub.models.signing import ModelSigner
from flip_hub.mongo import Database
from flip_hub.observability.requests import RequestAccount
from flip_hub.packages.install import InstallScript
from flip_hub.packages.repository import Repository
from flip_hub.packages.routes import PackageController
from flip_hub.people import PEOPLE_ROUTES, People, build_people
from flip_hub.settings import FleetSection, HubSection, Settings
from flip_hub.telemetry.allowance import Allowance
from flip_hub.telemetry.ingest import Ingest
from flip_hub.telemetry.routes import TelemetryController
from flip_hub.telemetry.service import TelemetryService
from flip_hub.telemetry.store import EventStore, GapStore, SpanStore
from flip_hub.uploads.routes import UploadController
from flip_hub.uploads.service import Uploads
from flip_hub.vitals.routes import VitalsController
from flip_hub.vitals.service import Vitals
from flip_hub.vitals.store import HealthStore

ROUTES: list[ControllerRouterHandler] = [
    *PEOPLE_ROUTES,
    DeviceController,
    FleetController,
    DesiredController,
    ActionController,
    EnrolmentController,
    AppKeyController,
    TelemetryController,
    VitalsController,
    AuditController,
    AlertController,
    SilenceController,
    HealthController,
    UploadController,
    DatasetController,
    PackageController,
    live_frames,
    serve_console,
]


@dataclass(frozen=True, kw_only=True)
class Core:
    shared: Shared
    people: People
    live: LiveHub
    uploads: Uploads
    app_keys: AppKeys
    model_signer: ModelSigner
    devices: DeviceService
    actions: ActionService
    audit: Audit
    telemetry: TelemetryService
    spans: SpanStore
    datasets: DatasetService
    access: Access
    services: dict[str, object]
    """By the name under which handlers ask for them."""

    def front(self, settings: HubSection, prepared: asyncio.Event, requests: RequestAccount) -> DeviceFront:
        return DeviceFront(
            self.access,
            self.telemetry,
            self.actions,
            prepared.is_set,
            names=settings.names,
            proxies=settings.proxies,
            account=requests,
        )


def build_core(settings: Settings, database: Database) -> Core:
    """Raises `ConfigError` for a state folder that was never initialised."""
    credentials = load_credentials(settings.hub.state)
    shared = shared_by(settings.redis)
    live = LiveHub(shared.bus)
    uploads = Uploads((settings.artifacts.folder or settings.hub.state) / "uploads", settings.uploads)
    uploads.create()
    dataset_files = artifacts_in(settings, "datasets")
    dataset_files.create()
    datasets = DatasetService(DatasetStore(database), dataset_files, uploads)
    registry, enrolment, events, gaps, spans, keys = (
        DeviceStore(database),
        EnrolmentStore(database),
        EventStore(database),
        GapStore(database),
        SpanStore(database),
        AppKeyStore(database),
    )
    app_keys = AppKeys(keys, credentials.app_key, hub_signs=settings.apps.hub_signs)
    signer = ModelSigner(credentials.model_key)
    tokens = Tokens(credentials.token_secret, settings.auth)
    audit = audit_of(settings, database)
    people = build_people(settings, database, shared, tokens, audit)
    devices = DeviceService(registry, live, shared.bus, settings)
    intake, health = IntakeStore(database, alone=not settings.cluster.name), HealthStore(database)
    ingest = Ingest(events, gaps, spans, health, intake, DeploymentStore(database), devices)
    allowance = Allowance(settings.devices.batches, settings.devices.batches_at_once)
    actions = ActionService(ActionStore(database), devices, live)
    telemetry = TelemetryService(events, gaps, ingest, devices, actions, live, allowance)
    ca = settings.hub.state / CA
    repository = Repository(settings.updates.repository)
    install = InstallScript(repository)
    return Core(
        shared=shared,
        people=people,
        live=live,
        uploads=uploads,
        app_keys=app_keys,
        model_signer=signer,
        devices=devices,
        actions=actions,
        audit=audit,
        telemetry=telemetry,
        spans=spans,
        datasets=datasets,
        access=Access(people.callers, tokens, devices, credentials.internal_secret),
        services={
            **people.services,
            "settings": settings,
            "uploads": uploads,
            "datasets": datasets,
            "volatile": shared.volatile,
            "bus": shared.bus,
            "live": live,
            "devices": devices,
            "assertions": Assertions(devices, registry, tokens),
            "enrolment": EnrolmentService(
                *(enrolment, registry, devices, app_keys),
                model_keys=signer.keys,
                fleet_address=fleet_address(settings.fleet),
                ca=ca,
                certifies=settings.hub.tls and settings.hub.certificate is None,
                url=settings.hub.public_url,
                install=install,
            ),
            "repository": repository,
            "install": install,
            "app_keys": app_keys,
            "actions": actions,
            "telemetry": telemetry,
            "vitals": Vitals(health, devices),
            "audit": audit,
            "alerts": AlertService(AlertStore(database), live),
            "console": Site(),
        },
    )


def fleet_address(fleet: FleetSection) -> str:
    """HOST:PORT as devices reach the gateway."""
    return fleet.address or f"{fleet.host}:{fleet.port}"
