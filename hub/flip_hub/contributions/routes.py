"""Late contributions over HTTP, for people."""

from litestar import Controller, get
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery

from flip_hub.api.pages import Page, Wanted
from flip_hub.auth.guards import needs
from flip_hub.auth.permissions import Permission
from flip_hub.contributions.late import Late
from flip_hub.contributions.receipts import Receipts
from flip_hub.contributions.run_contributions import RunContributions
from flip_hub.contributions.schemas import Contribution, LateContribution, LateCounts, RoundTraffic
from flip_hub.devices.service import DeviceService
from flip_hub.federation.service import RunService
from flip_hub.receipts.chain import DeviceKeys, ReceiptEntry, ReceiptSeal, SealKey
from flip_wire.fleet import DeviceId


class ContributionController(Controller):
    path = "/api/v1/runs/{run_id:str}/contributions"
    tags = ("runs",)
    guards = (needs(Permission.RUNS_READ),)

    @get()
    async def list_contributions(
        self,
        runs: NamedDependency[RunService],
        run_contributions: NamedDependency[RunContributions],
        wanted: NamedDependency[Wanted],
        run_id: FromPath[str],
        device: FromQuery[DeviceId | None] = None,
        phase: FromQuery[str | None] = None,
    ) -> Page[Contribution]:
        """What each device was asked, what it sent, and what has become of that; the newest round first."""
        run = (await runs.detail(run_id)).run
        return await run_contributions.of_run(run, wanted, device, phase)

    @get("/traffic")
    async def list_traffic(
        self,
        runs: NamedDependency[RunService],
        run_contributions: NamedDependency[RunContributions],
        run_id: FromPath[str],
    ) -> list[RoundTraffic]:
        """How many bytes came in for each round."""
        return await run_contributions.traffic((await runs.detail(run_id)).run)


class DeviceContributionController(Controller):
    path = "/api/v1/devices/{device:str}/contributions"
    tags = ("devices",)
    guards = (needs(Permission.RUNS_READ),)

    @get()
    async def list_device_contributions(
        self,
        run_contributions: NamedDependency[RunContributions],
        devices: NamedDependency[DeviceService],
        wanted: NamedDependency[Wanted],
        device: FromPath[str],
    ) -> Page[Contribution]:
        """What this device was asked in any run, what it sent, and what has become of that; the latest first."""
        return await run_contributions.of_device((await devices.get(DeviceId(device))).id, wanted)


class ReceiptController(Controller):
    path = "/api/v1/runs/{run_id:str}/receipts"
    tags = ("runs",)
    guards = (needs(Permission.RUNS_READ),)

    @get()
    async def list_receipts(
        self,
        runs: NamedDependency[RunService],
        receipts: NamedDependency[Receipts],
        wanted: NamedDependency[Wanted],
        run_id: FromPath[str],
    ) -> Page[ReceiptEntry]:
        """What became of each contribution, and what its device has signed: the run's chain from its beginning."""
        return await receipts.chain((await runs.detail(run_id)).run, wanted)

    @get("/seal")
    async def read_seal(
        self, runs: NamedDependency[RunService], receipts: NamedDependency[Receipts], run_id: FromPath[str]
    ) -> ReceiptSeal:
        """The hub's signature over the chain as it is; `final` once the run has ended."""
        return await receipts.seal((await runs.detail(run_id)).run)

    @get("/device-keys")
    async def list_device_keys(
        self,
        runs: NamedDependency[RunService],
        receipts: NamedDependency[Receipts],
        devices: NamedDependency[DeviceService],
        run_id: FromPath[str],
    ) -> DeviceKeys:
        """Those that the chain's signatures must be of."""
        named = await receipts.devices((await runs.detail(run_id)).run)
        known = await devices.records()
        return DeviceKeys(public_keys={each.id: each.public_key for each in known if each.id in named})


class SealKeyController(Controller):
    path = "/api/v1/receipts/key"
    tags = ("runs",)
    guards = (needs(Permission.RUNS_READ),)

    @get()
    async def read_seal_key(self, receipts: NamedDependency[Receipts]) -> SealKey:
        """Of the seals of all runs. Who keeps it needs not believe the key that a file of receipts names."""
        return SealKey(public_key=receipts.key)


class LateController(Controller):
    path = "/api/v1/runs/{run_id:str}/late"
    tags = ("runs",)
    guards = (needs(Permission.RUNS_READ),)

    @get()
    async def list_late(
        self,
        runs: NamedDependency[RunService],
        late: NamedDependency[Late],
        wanted: NamedDependency[Wanted],
        run_id: FromPath[str],
    ) -> Page[LateContribution]:
        """Replies of this run that came too late for their round, and were kept; newest first."""
        return await late.of_run((await runs.detail(run_id)).run.id, wanted)

    @get("/counts")
    async def count_late(
        self, runs: NamedDependency[RunService], late: NamedDependency[Late], run_id: FromPath[str]
    ) -> LateCounts:
        """How many are on their way, and how many are kept no more."""
        return await late.counts((await runs.detail(run_id)).run.id)
