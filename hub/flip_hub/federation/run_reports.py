"""What ServerApps' processes tell, added up: rounds, versions, receipts. A report that comes twice is harmless."""

import time

from msgspec.structs import replace

from flip_hub.cluster.lease import ALONE, Leading
from flip_hub.contributions.receipts import Receipts
from flip_hub.devices.service import DeviceService
from flip_hub.federation.mailboxes import Mailboxes
from flip_hub.federation.progress import fold
from flip_hub.federation.promotion import Promotion
from flip_hub.federation.run_book import RunBook
from flip_hub.federation.schemas import (
    MessagesPushed,
    ReplyReceived,
    ReplyRefused,
    Round,
    Run,
    RunReport,
    RunStatus,
    VersionMade,
)
from flip_hub.models.service import ModelService
from flip_hub.problem import NotFound
from flip_wire.fleet import DeviceId


class RunReports:
    def __init__(
        self,
        book: RunBook,
        devices: DeviceService,
        models: ModelService,
        mailboxes: Mailboxes,
        receipts: Receipts,
        promotion: Promotion,
        leading: Leading = ALONE,
    ) -> None:
        self._book = book
        self._devices = devices
        self._models = models
        self._mailboxes = mailboxes
        self._receipts = receipts
        self._promotion = promotion
        self._leading = leading

    async def take(self, flower_run_id: str, report: RunReport) -> None:
        """Raises `NotFound`, `Unprocessable`, or `Unavailable` to a ServerApp whose hub runs the federation no more."""
        self._leading.check()
        if isinstance(report, MessagesPushed):
            self._mailboxes.wake(report.nodes)  # first: devices wait for it
        devices = await self._names(report)
        async with self._book.changing:
            run = await self._book.store.run_of_flower(flower_run_id)
            if run is None:
                raise NotFound(f"no run with Flower's number {flower_run_id[:40]!r}")
            await self._receipts.report(flower_run_id, report, devices)
            rounds = await self._book.store.rounds(run.id)
            changed, round = fold(run, rounds, report, at=time.time(), devices=devices)
            if isinstance(report, VersionMade) and round is not None:
                changed, round = await self._register(changed, rounds, round, report)
            if round is not None and round not in rounds:
                await self._book.save_round(round)
            if changed != run:
                await self._book.save(changed)

    async def _register(self, run: Run, rounds: list[Round], round: Round, report: VersionMade) -> tuple[Run, Round]:
        made = await self._models.register(replace(report.manifest, run_id=run.id))
        if run.status is RunStatus.FINISHED:  # it came late: it may be the best
            run = await self._promotion.of(run, rounds)
        return run, replace(round, version=made.version)

    async def _names(self, report: RunReport) -> dict[str, DeviceId]:
        match report:
            case MessagesPushed():
                nodes = report.nodes
            case ReplyReceived() | ReplyRefused():
                nodes = [report.node]
            case _:
                nodes = []
        found = {node: await self._devices.device_of_node(node) for node in nodes}
        return {node: device for node, device in found.items() if device is not None}
