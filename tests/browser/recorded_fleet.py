"""How the recorded hub answers about devices and what is asked of them."""

import time
from collections.abc import Callable, Sequence
from typing import Annotated, Any

import msgspec
from litestar import Request, get, patch, post
from litestar.params import FromPath, FromQuery, JSONBody, QueryParameter
from litestar.types import ControllerRouterHandler
from msgspec.structs import replace
from recorded_refusals import Refused

from flip_hub.actions.schemas import ActionRequest, ActionState, DeviceAction
from flip_hub.contributions.schemas import Contribution
from flip_hub.devices.brief import DeviceBrief
from flip_hub.devices.schemas import Device, DevicePatch, DeviceStatus
from flip_hub.live import DeviceChanged, ListGrew, Listing, More
from flip_hub.telemetry.schemas import DeclaredGap, StoredEvent
from flip_hub.vitals.schemas import HealthPoint
from flip_wire.actions import ActionId
from flip_wire.fleet import DeviceId
from flip_wire.health import Severity

Guard = Callable[[Request[Any, Any, Any]], None]
_ORDER = list(Severity)


def brief_of(device: Device) -> DeviceBrief:
    """As the real hub makes it of the record."""
    health, reported = device.health, device.reported
    severities = [] if health is None else [each.severity for each in health.conditions]
    return DeviceBrief(
        id=device.id,
        name=device.name,
        status=device.status,
        enrolled_at=device.enrolled_at,
        severity=max(severities, key=_ORDER.index, default=None),
        unknown_since=device.unknown_since,
        site=device.site,
        tags=device.tags,
        groups=device.groups,
        serving=[] if reported is None else [f"{each.model}@{each.version}" for each in reported.serving],
        training="" if reported is None else reported.training,
        backlog=0 if health is None else health.outbox_depth,
        oldest=None if health is None else health.outbox_oldest,
        dropped=device.events_dropped,
    )


class RecordedFleet:
    """`tell` hands each change to the consoles."""

    def __init__(self, guard: Guard, tell: Callable[[DeviceChanged | ListGrew], None]) -> None:
        self.known: dict[str, Device] = {}
        self.events: dict[str, list[StoredEvent]] = {}
        self.gaps: dict[str, list[DeclaredGap]] = {}
        self.health: dict[str, list[HealthPoint]] = {}
        self.actions: dict[str, list[DeviceAction]] = {}
        self.contributions: dict[str, list[Contribution]] = {}
        self.asked: list[tuple[str, ActionRequest]] = []
        self._guard = guard
        self._tell = tell

    def device(self, device_id: str) -> Device:
        if device_id not in self.known:
            raise Refused(404, "Not found", f"There is no device {device_id}.", "GET /api/v1/devices lists them")
        return self.known[device_id]

    def change(self, device_id: str, **changes: object) -> Device:
        changed = replace(self.device(device_id), **changes)
        self._tell(DeviceChanged(data=changed))
        return changed

    def ask(self, device_id: str, asked: ActionRequest) -> DeviceAction:
        self.asked.append((device_id, asked))
        now = time.time()
        action = DeviceAction(
            id=ActionId(f"act-a{len(self.asked):011x}"),
            device=DeviceId(device_id),
            kind=asked.kind,
            state=ActionState.QUEUED,
            asked_by="admin",
            asked_at=now,
            expires_at=now + asked.lifetime,
            model=asked.model,
            reason=asked.reason,
        )
        self.actions.setdefault(device_id, []).insert(0, action)
        self._tell(ListGrew(data=More(of=Listing.ACTIONS, id=device_id)))
        return action

    def handlers(self) -> Sequence[ControllerRouterHandler]:
        recorded = self
        guard = self._guard

        @get("/api/v1/fleet")
        async def briefs(request: Request[Any, Any, Any]) -> list[DeviceBrief]:
            guard(request)
            return [brief_of(device) for device in recorded.known.values()]

        @get("/api/v1/devices")
        async def devices(
            request: Request[Any, Any, Any],
            status: FromQuery[DeviceStatus | None] = None,
            search: FromQuery[str] = "",
            tag: FromQuery[str | None] = None,
            at_site: Annotated[str | None, QueryParameter(name="site")] = None,
        ) -> list[Device]:
            guard(request)
            found = sorted(recorded.known.values(), key=lambda device: device.name)
            return [
                device
                for device in found
                if status in (None, device.status)
                and at_site in (None, device.site)
                and (tag is None or tag in device.tags)
                and all(word in device.name for word in search.split())
            ]

        @get("/api/v1/devices/{device:str}")
        async def one(request: Request[Any, Any, Any], device: FromPath[str]) -> Device:
            guard(request)
            return recorded.device(device)

        @patch("/api/v1/devices/{device:str}", sync_to_thread=True)
        def label(request: Request[Any, Any, Any], device: FromPath[str], data: JSONBody[DevicePatch]) -> Device:
            guard(request)
            return recorded.change(device, **msgspec.to_builtins(data))

        @post("/api/v1/devices/{device:str}/revoke", status_code=200, sync_to_thread=True)
        def revoke(request: Request[Any, Any, Any], device: FromPath[str]) -> Device:
            guard(request)
            return recorded.change(device, status=DeviceStatus.REVOKED)

        @post("/api/v1/devices/{device:str}/actions", sync_to_thread=True)
        def ask(request: Request[Any, Any, Any], device: FromPath[str], data: JSONBody[ActionRequest]) -> DeviceAction:
            guard(request)
            return recorded.ask(device, data)

        @get("/api/v1/devices/{device:str}/actions")
        async def actions(request: Request[Any, Any, Any], device: FromPath[str]) -> list[DeviceAction]:
            guard(request)
            return recorded.actions.get(device, [])

        @get("/api/v1/devices/{device:str}/health")
        async def health(request: Request[Any, Any, Any], device: FromPath[str]) -> list[HealthPoint]:
            guard(request)
            return recorded.health.get(device, [])

        @get("/api/v1/devices/{device:str}/contributions")
        async def contributions(request: Request[Any, Any, Any], device: FromPath[str]) -> list[Contribution]:
            guard(request)
            return recorded.contributions.get(device, [])

        @get("/api/v1/devices/{device:str}/events")
        async def events(request: Request[Any, Any, Any], device: FromPath[str]) -> list[StoredEvent]:
            guard(request)
            return recorded.events.get(device, [])

        @get("/api/v1/devices/{device:str}/gaps")
        async def gaps(request: Request[Any, Any, Any], device: FromPath[str]) -> list[DeclaredGap]:
            guard(request)
            return recorded.gaps.get(device, [])

        of_one = [one, label, revoke, ask, actions, health, contributions, events, gaps]
        return [briefs, devices, *of_one]
