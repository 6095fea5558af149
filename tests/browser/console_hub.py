"""The hub's own API behind the console, on a port: apps, runs, models and rollouts over a real registry. Only the
SuperLink is scripted."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from litestar.types import ControllerRouterHandler
from playwright.async_api import Page, async_playwright, expect
from screen import PATIENCE, WIDE

from bench.browser import CHROMIUM_ARGUMENTS, chromium
from core_hub import CoreHub, running_core
from flip_hub.api.pages import Wanted
from flip_hub.apps.keys import AppKeys
from flip_hub.apps.routes import AppController
from flip_hub.apps.schemas import App
from flip_hub.apps.service import AppService
from flip_hub.apps.signatures import load_private_key, make_private_key
from flip_hub.apps.store import AppKeyStore, AppStore
from flip_hub.artifacts.folder import FolderArtifacts
from flip_hub.auth.passwords import Passwords
from flip_hub.auth.permissions import Role
from flip_hub.cluster.bus import Bus
from flip_hub.cluster.lease import ALONE
from flip_hub.contributions.late import Late
from flip_hub.contributions.receipts import Receipts
from flip_hub.contributions.routes import (
    ContributionController,
    DeviceContributionController,
    LateController,
    ReceiptController,
)
from flip_hub.contributions.run_contributions import RunContributions
from flip_hub.contributions.store import ContributionStore
from flip_hub.core import Core
from flip_hub.deployments.store import DeploymentStore
from flip_hub.federation.journal import Journals
from flip_hub.federation.log_events import LogEvents
from flip_hub.federation.mailboxes import Mailboxes
from flip_hub.federation.nodes import Nodes
from flip_hub.federation.routes import RunController
from flip_hub.federation.run_reports import RunReports
from flip_hub.federation.runs import build_runs
from flip_hub.federation.schemas import Run
from flip_hub.federation.service import RunService
from flip_hub.federation.standby import Standby
from flip_hub.federation.store import RunStore
from flip_hub.federation.strategy_routes import StrategyController
from flip_hub.federation.upstream import Upstream
from flip_hub.health import Health
from flip_hub.lineage.routes import LineageController
from flip_hub.lineage.service import LineageService
from flip_hub.models.routes import ModelController
from flip_hub.models.service import ModelService
from flip_hub.models.store import ModelStore
from flip_hub.mongo import Mongo
from flip_hub.receipts.store import ChainStore
from flip_hub.receipts.writer import ReceiptChain
from flip_hub.rollouts.routes import RolloutController
from flip_hub.rollouts.service import RolloutService
from flip_hub.rollouts.store import RolloutStore
from flip_hub.settings import Settings
from flip_hub.system.routes import SystemController
from flip_hub.system.service import System
from flip_hub.system.shown_settings import shown_settings
from flip_hub.users.store import UserStore, new_user
from flip_wire.models import GRAPH, WEIGHTS, FileRef, Manifest, Probe, Tensor
from integration.hub_parts import fab_of
from integration.scripted_control import ScriptedControl

PASSWORD = "correct horse"


async def _well() -> str:
    return ""


class ScriptedNodes(Nodes):
    """Of a SuperLink that takes every device at once."""

    async def online(self, keys: Sequence[str], lease: float) -> list[str]:
        return [str(2**62 + number) for number, _ in enumerate(keys)]

    async def offline(self, keys: Sequence[str]) -> None:
        pass


@dataclass(frozen=True, kw_only=True)
class Parts:
    models: ModelService
    artifacts: FolderArtifacts
    apps: AppService
    runs: RunService
    reports: RunReports
    store: RunStore
    contributions: ContributionStore
    control: ScriptedControl
    services: dict[str, object]

    @classmethod
    def over(cls, core: Core, mongo: Mongo, settings: Settings) -> "Parts":
        database, folder, mailboxes, control = mongo.database, settings.hub.state, Mailboxes(), ScriptedControl()
        artifacts = FolderArtifacts(folder / "model files")
        artifacts.create()
        models = ModelService(ModelStore(database), artifacts, core.devices, core.live, core.model_signer)
        keys = AppKeys(AppKeyStore(database), load_private_key(make_private_key()), hub_signs=True)
        apps = AppService(AppStore(database), artifacts, keys)
        rollouts = RolloutService(RolloutStore(database), core.devices, models, core.live, Bus(), settings)
        store, contributions = RunStore(database), ContributionStore(database)
        chain = ReceiptChain(ChainStore(database), contributions, core.model_signer)
        receipts = Receipts(contributions, store, mailboxes, Journals(folder / "runs"), chain)
        standby = Standby(core.devices, ScriptedNodes(Upstream("http://127.0.0.1:1")), lease=60.0)
        runs = build_runs(
            *(store, control, core.devices, models, rollouts, core.live, mailboxes, apps, receipts, standby),
            core.datasets,
        )
        lineage = LineageService(models, store, contributions, DeploymentStore(database), RolloutStore(database))
        return cls(
            models=models,
            artifacts=artifacts,
            apps=apps,
            runs=runs.service,
            reports=runs.reports,
            store=store,
            contributions=contributions,
            control=control,
            services={
                "models": models,
                "artifacts": artifacts,
                "apps": apps,
                "runs": runs.service,
                "rollouts": rollouts,
                "lineage": lineage,
                "participants": runs.participants,
                "log_events": LogEvents(runs.service, control),
                "late": Late(contributions, store, artifacts, core.live),
                "run_contributions": RunContributions(contributions),
                "receipts": receipts,
                "system": System(
                    settings,
                    shown_settings(settings, {"hub.port": "/etc/flip/hub.toml", "mongo.url": "FLIP_MONGO__URL"}),
                    mongo=mongo,
                    health=Health({"mongo": mongo.missing, "superlink": _well, "disk": _well}),
                    live=core.live,
                    telemetry=core.telemetry,
                    leading=ALONE,
                ),
            },
        )


_ROUTES: list[ControllerRouterHandler] = [
    *(AppController, RunController, StrategyController, ContributionController, LateController, ReceiptController),
    *(ModelController, RolloutController, LineageController, DeviceContributionController, SystemController),
]


@dataclass(frozen=True, kw_only=True)
class ConsoleHub:
    core: CoreHub
    parts: Parts
    page: Page
    """Signed in as an admin."""

    async def runs(self) -> list[Run]:
        return (await self.parts.store.runs(Wanted(), None)).items

    async def add_app(self) -> App:
        return await self.parts.apps.add(fab_of())

    async def add_version(self, model: str, round: int) -> None:
        """That devices can serve."""
        await self.parts.models.register(await self.manifest(model, round))

    async def manifest(self, model: str, round: int, run_id: str = "") -> Manifest:
        """Of files that are stored."""
        weights, graph = [
            FileRef(name=name, sha256=await self.parts.artifacts.put(content), size=len(content))
            for name, content in ((WEIGHTS, f"weights {round}".encode()), (GRAPH, b"graph"))
        ]
        probe = Probe(inputs=[Tensor(name="x", dtype="float32", shape=[1], data=[0.5])], outputs=[])
        return Manifest(
            model=model,
            version=0,
            created_at=1_790_000_000.0,
            weights=weights,
            graph=graph,
            probe=probe,
            run_id=run_id,
            round=round,
            metrics={"accuracy": 0.9},
        )


@asynccontextmanager
async def console_hub(folder: Path, mongo_url: str) -> AsyncGenerator[ConsoleHub]:
    made: list[Parts] = []

    def beside(core: Core, mongo: Mongo, settings: Settings) -> tuple[list[ControllerRouterHandler], dict[str, object]]:
        made.append(Parts.over(core, mongo, settings))
        return _ROUTES, made[0].services

    async with running_core(folder, mongo_url, beside=beside) as hub, async_playwright() as playwright:
        hashed = await Passwords().hash(PASSWORD)
        await UserStore(hub.mongo.database).add(new_user("ada", hashed, Role.ADMIN))
        browser = await playwright.chromium.launch(executable_path=chromium(), args=CHROMIUM_ARGUMENTS)
        page = await browser.new_page(base_url=hub.url, viewport=WIDE, reduced_motion="reduce", locale="en-GB")
        page.set_default_timeout(PATIENCE)
        expect.set_options(timeout=PATIENCE)
        await page.goto("/runs")
        await page.get_by_label("User name").fill("ada")
        await page.get_by_label("Password").fill(PASSWORD)
        await page.get_by_role("button", name="Sign in").click()
        await expect(page.get_by_role("heading", level=1)).to_have_text("Runs")
        yield ConsoleHub(core=hub, parts=made[0], page=page)
        await browser.close()
