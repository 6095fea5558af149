"""The parts that deal with runs, put together."""

from msgspec import Struct

from flip_hub.apps.service import AppService
from flip_hub.cluster.lease import ALONE, Leading
from flip_hub.contributions.receipts import Receipts
from flip_hub.datasets.service import DatasetService
from flip_hub.devices.service import DeviceService
from flip_hub.federation.mailboxes import Mailboxes
from flip_hub.federation.participants import Participants
from flip_hub.federation.promotion import Promotion
from flip_hub.federation.run_book import RunBook
from flip_hub.federation.run_reports import RunReports
from flip_hub.federation.run_submission import Control, RunSubmission
from flip_hub.federation.run_watch import RunWatch
from flip_hub.federation.service import RunService
from flip_hub.federation.standby import Standby
from flip_hub.federation.store import RunStore
from flip_hub.federation.wanted_run import WantedRun
from flip_hub.live import LiveHub
from flip_hub.models.service import ModelService
from flip_hub.rollouts.service import RolloutService


class Runs(Struct, frozen=True, kw_only=True):
    service: RunService
    reports: RunReports
    watch: RunWatch
    participants: Participants


def build_runs(
    store: RunStore,
    control: Control,
    devices: DeviceService,
    models: ModelService,
    rollouts: RolloutService,
    live: LiveHub,
    mailboxes: Mailboxes,
    apps: AppService,
    receipts: Receipts,
    standby: Standby,
    datasets: DatasetService,
    leading: Leading = ALONE,
) -> Runs:
    book = RunBook(store, live, devices)
    promotion = Promotion(models, rollouts)
    submission = RunSubmission(book, control, apps, devices, standby)
    watch = RunWatch(book, control, devices, promotion, receipts, standby, submission)
    wanted = WantedRun(book, apps, models, datasets, devices, receipts.journals)
    return Runs(
        service=RunService(book, control, wanted, submission, watch, standby, leading),
        reports=RunReports(book, devices, models, mailboxes, receipts, promotion, leading),
        watch=watch,
        participants=Participants(book, devices, receipts),
    )
