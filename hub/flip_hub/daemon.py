"""`flip-hub serve`: everything the hub consists of, put together here and nowhere else."""

import asyncio
import gc
import logging
import signal
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import uvloop

from flip_hub.admin_socket import AdminSocket
from flip_hub.alerts.build import build_alerts
from flip_hub.alerts.sources.look import Starts
from flip_hub.api_server import ApiServer
from flip_hub.app import create_app
from flip_hub.apps.routes import AppController
from flip_hub.apps.service import AppService
from flip_hub.apps.store import AppStore
from flip_hub.artifacts.place import artifacts_in
from flip_hub.cluster.lease import Leading, leading_by
from flip_hub.contributions.calls import ContributionCalls
from flip_hub.contributions.foldable import FoldableReplies
from flip_hub.contributions.late import OBJECT_LIMIT, Late
from flip_hub.contributions.receipts import Receipts
from flip_hub.contributions.routes import (
    ContributionController,
    DeviceContributionController,
    LateController,
    ReceiptController,
    SealKeyController,
)
from flip_hub.contributions.run_contributions import RunContributions
from flip_hub.contributions.store import ContributionStore
from flip_hub.core import ROUTES, build_core
from flip_hub.credentials import api_certificate
from flip_hub.deployments.store import DeploymentStore
from flip_hub.federation.control import RunControl
from flip_hub.federation.control_port.runs import RunCalls
from flip_hub.federation.control_port.server import ControlPort
from flip_hub.federation.control_port.sign_in import SignIn
from flip_hub.federation.gateway import Gateway
from flip_hub.federation.internal import InternalController
from flip_hub.federation.journal import Journals, runs_in
from flip_hub.federation.log_events import LogEvents
from flip_hub.federation.mailboxes import Mailboxes
from flip_hub.federation.routes import RunController
from flip_hub.federation.runs import build_runs
from flip_hub.federation.standby import Standby
from flip_hub.federation.store import RunStore
from flip_hub.federation.strategy_routes import StrategyController
from flip_hub.federation.superlink import Superlink
from flip_hub.health import Health
from flip_hub.lineage.routes import LineageController
from flip_hub.lineage.service import LineageService
from flip_hub.listener import open_many_files
from flip_hub.models.deltas import Deltas
from flip_hub.models.routes import DeviceArtifactController, ModelController
from flip_hub.models.service import ModelService
from flip_hub.models.store import ModelStore
from flip_hub.mongo import Mongo
from flip_hub.observability.build import build_observability
from flip_hub.observability.instruments import part_instruments
from flip_hub.observability.readiness import readiness_checks
from flip_hub.observability.routes import MetricsController
from flip_hub.receipts.store import ChainStore
from flip_hub.receipts.writer import ReceiptChain
from flip_hub.registry.schema import prepare_registry
from flip_hub.rollouts.routes import RolloutController
from flip_hub.rollouts.service import RolloutService
from flip_hub.rollouts.store import RolloutStore
from flip_hub.rollouts.watch import RolloutWatch
from flip_hub.settings import Settings
from flip_hub.system.routes import SystemController
from flip_hub.system.service import System
from flip_hub.system.shown_settings import shown_settings
from flip_hub.telemetry.routes import RunSpansController
from flip_hub.telemetry.run_spans import RunSpans
from flip_runtime.owned_folder import owned
from flip_runtime.supervisor import Service, supervise
from flip_runtime.systemd import Notifier

log = logging.getLogger(__name__)

FEDERATION_ROUTES = [
    ModelController,
    DeviceArtifactController,
    AppController,
    RunController,
    StrategyController,
    LateController,
    ContributionController,
    DeviceContributionController,
    ReceiptController,
    SealKeyController,
    LineageController,
    RolloutController,
    RunSpansController,
    SystemController,
    InternalController,
]


def run_hub(settings: Settings, sources: Mapping[str, str]) -> None:
    """`sources`: of the settings that are no default. Until SIGTERM or SIGINT. Raises `ConfigError` or `Fatal`."""
    open_many_files()
    with _owning(settings.hub.state), asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_until_signalled(settings, sources))


def _owning(state: Path) -> AbstractContextManager[None]:
    """Another hub in this folder would take the socket and the logs from the one that runs."""
    if not state.is_dir():
        return nullcontext()  # `init` is missing, which `serve` says
    return owned(state, "flip-hub serve", "hub.state")


async def serve(settings: Settings, sources: Mapping[str, str]) -> None:
    notifier = Notifier()
    mongo = Mongo(settings.mongo)
    core = build_core(settings, mongo.database)
    live, devices = core.live, core.devices

    artifacts = artifacts_in(settings, "artifacts")
    artifacts.create()
    model_store = ModelStore(mongo.database)
    models = ModelService(model_store, artifacts, devices, live, core.model_signer)
    deltas = Deltas(settings.hub.state / "deltas", artifacts_in(settings, "deltas"), artifacts, models)
    deltas.create()
    rollout_store, bus = RolloutStore(mongo.database), core.shared.bus
    rollouts = RolloutService(rollout_store, devices, models, live, bus, settings)
    rollout_watch = RolloutWatch(rollout_store, devices, models, core.audit, live, bus, settings)

    leading = leading_by(settings.cluster, mongo)
    superlink = Superlink(settings)
    mailboxes = Mailboxes()
    app_store = AppStore(mongo.database)
    apps = AppService(app_store, artifacts, core.app_keys)
    run_store, contribution_store = RunStore(mongo.database), ContributionStore(mongo.database)
    chain = ReceiptChain(ChainStore(mongo.database), contribution_store, core.model_signer)
    receipts = Receipts(contribution_store, run_store, mailboxes, Journals(runs_in(settings)), chain)
    late_objects = artifacts_in(settings, "late", limit=OBJECT_LIMIT)
    late_objects.create()
    late = Late(contribution_store, run_store, late_objects, live)
    gateway = Gateway(settings, devices, apps, mailboxes, ContributionCalls(receipts, late, mailboxes), leading)
    control = RunControl(superlink.address)
    standby = Standby(devices, gateway.nodes, lease=settings.fleet.wakes_within)
    runs = build_runs(
        *(run_store, control, devices, models, rollouts, live, mailboxes, apps, receipts, standby),
        core.datasets,
        leading,
    )
    people, console = core.people, settings.hub.public_url
    sign_in = SignIn(people.terminal_logins, people.auth, people.users, console)
    run_calls = RunCalls(runs.service, run_store, apps, control, devices, console)
    control_port = ControlPort(settings, people.callers, sign_in, run_calls, core.audit, leading)

    parts = {"mongo": mongo.missing, "superlink": _missing(superlink, leading)}
    if core.shared.run is not None:
        parts["redis"] = core.shared.volatile.missing
    certificate = api_certificate(settings)
    health = Health(parts | readiness_checks(settings, certificate))
    watched = build_observability(settings, mongo, run_store, parts)
    part_instruments(
        watched.metrics, live=live, superlink=superlink, mailboxes=mailboxes, gateway=gateway, telemetry=core.telemetry
    )
    starts = Starts(lambda: superlink.ready, lambda: superlink.boots)
    alerts = build_alerts(settings, mongo.database, live, starts)
    app = create_app(
        [*ROUTES, *FEDERATION_ROUTES, MetricsController],
        {
            **core.services,
            "models": models,
            "deltas": deltas,
            "rollouts": rollouts,
            "artifacts": artifacts,
            "apps": apps,
            "runs": runs.service,
            "reports": runs.reports,
            "participants": runs.participants,
            "log_events": LogEvents(runs.service, control),
            "late": late,
            "foldable": FoldableReplies(contribution_store, run_store, receipts.journals, late_objects),
            "run_spans": RunSpans(core.spans, runs.service, contribution_store),
            "receipts": receipts,
            "run_contributions": RunContributions(contribution_store),
            "lineage": LineageService(
                models, run_store, contribution_store, DeploymentStore(mongo.database), rollout_store
            ),
            "health": health,
            "system": System(
                settings,
                shown_settings(settings, sources),
                mongo=mongo,
                health=health,
                live=live,
                telemetry=core.telemetry,
                leading=leading,
            ),
            "exposed": watched.exposed,
        },
        access=core.access,
        prepared=mongo.prepared,
        volatile=core.shared.volatile,
        audit=core.audit,
    )

    async def run_federation() -> None:
        """What one hub at a time does."""
        try:
            await supervise(
                [
                    Service("superlink", superlink.run),
                    Service("late", lambda: mongo.keep_running(late.keep_tidy)),
                    Service("runs", lambda: mongo.keep_running(runs.watch.run)),
                    Service("rollouts", lambda: mongo.keep_running(rollout_watch.run)),
                    Service("alerts", lambda: mongo.keep_running(alerts.watch.run)),
                    Service("notices", lambda: mongo.keep_running(alerts.courier.run)),
                    *watched.duties,
                ]
            )
        finally:
            mailboxes.wake_all()

    front = core.front(settings.hub, mongo.prepared, watched.requests)
    api = ApiServer(app, settings.hub, devices.close, certificate, watched.requests, front, notifier.ready)
    _leave_alone()
    await supervise(
        [
            Service("registry", lambda: mongo.prepare(prepare_registry)),
            Service("api", api.run),
            Service("watchdog", notifier.feed_watchdog),
            Service("admin", AdminSocket(app, settings.hub.admin_socket).run),
            Service("set-up", lambda: mongo.keep_running(core.people.first_admin.offer)),
            Service("uploads", core.uploads.keep_tidy),
            Service("audit", lambda: mongo.keep_running(core.audit.run)),
            Service("presence", lambda: mongo.keep_running(devices.watch)),
            Service("actions", lambda: mongo.keep_running(core.actions.watch)),
            Service("telemetry", core.telemetry.run),
            Service("gateway", gateway.run),
            Service("control", control_port.run),
            Service("federation", lambda: leading.hold(run_federation)),
            *([] if core.shared.run is None else [Service("bus", core.shared.run)]),
            *watched.services,
        ]
    )


def _leave_alone() -> None:
    """What lives now lives as long as the hub: collecting garbage passes it by, and looks more seldom. With thousands
    of connections it would stop every answer for half a second."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 50, 100)


async def _until_signalled(settings: Settings, sources: Mapping[str, str]) -> None:
    serving = asyncio.create_task(serve(settings, sources))
    stopping = asyncio.Event()

    def stop() -> None:
        if not stopping.is_set():
            stopping.set()
            log.info("stopping")
            serving.cancel()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop)
    await asyncio.wait((serving,))
    if not serving.cancelled():
        serving.result()


def _missing(superlink: Superlink, leading: Leading) -> Callable[[], Awaitable[str]]:
    async def missing() -> str:
        if superlink.ready or not leading.held:
            return ""
        return "it is starting; if that lasts, see superlink/superlink.log"

    return missing
