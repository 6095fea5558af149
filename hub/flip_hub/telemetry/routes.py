"""Telemetry over HTTP: devices send batches, people read the newest events."""

from typing import Any

from litestar import Controller, Request, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery

from flip_hub.api.describe import TAKES
from flip_hub.api.pages import Page, Wanted
from flip_hub.auth.guards import device_guard, needs
from flip_hub.auth.permissions import Permission
from flip_hub.telemetry.batch import MAX_SENT, read_batch
from flip_hub.telemetry.run_spans import RunSpans
from flip_hub.telemetry.schemas import DeclaredGap, MessageSpans, StoredEvent
from flip_hub.telemetry.service import TelemetryService
from flip_wire.fleet import DeviceId
from flip_wire.telemetry import BatchAccepted


class TelemetryController(Controller):
    path = "/api/v1"
    tags = ("telemetry",)

    @post(
        "/device/telemetry",
        guards=[device_guard],
        status_code=200,
        request_max_body_size=MAX_SENT,
        opt={TAKES: "application/json"},
    )
    async def accept_batch(
        self,
        request: Request[Any, Any, Any],
        telemetry: NamedDependency[TelemetryService],
        calling_device: NamedDependency[DeviceId],
    ) -> BatchAccepted:
        """Takes a `flip_wire.telemetry.Batch` as JSON, plain or zstd; answers once it is on disk."""
        telemetry.admit(calling_device)
        checked = read_batch(await request.body(), request.headers.get("Content-Encoding", ""))
        return await telemetry.accept(calling_device, checked)

    @get("/devices/{device:str}/events", guards=[needs(Permission.DEVICES_READ)])
    async def list_events(
        self,
        telemetry: NamedDependency[TelemetryService],
        device: FromPath[str],
        wanted: NamedDependency[Wanted],
        kind: FromQuery[str | None] = None,
    ) -> Page[StoredEvent]:
        """Newest first, by when they happened."""
        return await telemetry.newest(DeviceId(device), wanted, kind)

    @get("/devices/{device:str}/gaps", guards=[needs(Permission.DEVICES_READ)])
    async def list_gaps(
        self,
        telemetry: NamedDependency[TelemetryService],
        device: FromPath[str],
        wanted: NamedDependency[Wanted],
    ) -> Page[DeclaredGap]:
        """What the device had to drop in the last 90 days, newest first."""
        return await telemetry.gaps(DeviceId(device), wanted)


class RunSpansController(Controller):
    path = "/api/v1/runs/{run_id:str}/spans"
    tags = ("telemetry",)
    guards = (needs(Permission.RUNS_READ),)

    @get()
    async def list_spans(
        self,
        run_spans: NamedDependency[RunSpans],
        run_id: FromPath[str],
        wanted: NamedDependency[Wanted],
    ) -> Page[MessageSpans]:
        """Where the time went on the devices in the last 7 days, by message; the one that ended last first."""
        return await run_spans.newest(run_id, wanted)
