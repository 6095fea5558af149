"""Devices over HTTP: for people, and the two calls by which a device asks who it is and what it shall do."""

from typing import Annotated, Any

from litestar import Controller, Request, Response, delete, get, patch, post
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, JSONBody, QueryParameter

from flip_hub.actions.service import ActionService
from flip_hub.api.pages import Page, Wanted
from flip_hub.auth.guards import device_guard, needs
from flip_hub.auth.permissions import Permission
from flip_hub.devices.assertions import Assertions
from flip_hub.devices.brief import DeviceBrief
from flip_hub.devices.schemas import Device, DevicePatch, DeviceStatus, Sought
from flip_hub.devices.service import DeviceService
from flip_hub.devices.wire_version import spoken
from flip_wire.fleet import DesiredState, DeviceId, DeviceToken, TokenRequest
from flip_wire.version import HEADER

LONGEST_WAIT = 60.0
"""Seconds of a long poll: proxies cut idle connections soon after."""


class DeviceController(Controller):
    """For people."""

    path = "/api/v1/devices"
    tags = ("devices",)

    @get(guards=[needs(Permission.DEVICES_READ)])
    async def list_devices(
        self,
        devices: NamedDependency[DeviceService],
        wanted: NamedDependency[Wanted],
        status: FromQuery[DeviceStatus | None] = None,
        name: FromQuery[str | None] = None,
        search: Annotated[str | None, QueryParameter(max_length=128)] = None,
        tag: FromQuery[str | None] = None,
        group: FromQuery[str | None] = None,
        at_site: Annotated[str | None, QueryParameter(name="site")] = None,
        enrolled_by: FromQuery[str | None] = None,
    ) -> Page[Device]:
        """Every device that was ever enrolled, by name. Each word of `search` stands in its name, its id or a model
        that it serves; `enrolled_by` is the id of an enrolment token."""
        sought = Sought(
            status=status, name=name, search=search, tag=tag, group=group, site=at_site, enrolled_by=enrolled_by
        )
        return await devices.page(wanted, sought)

    @get("/{device:str}", guards=[needs(Permission.DEVICES_READ)])
    async def get_device(self, devices: NamedDependency[DeviceService], device: FromPath[str]) -> Device:
        return await devices.get(DeviceId(device))

    @patch("/{device:str}", guards=[needs(Permission.DEVICES_OPERATE)])
    async def patch_device(
        self, devices: NamedDependency[DeviceService], device: FromPath[str], data: JSONBody[DevicePatch]
    ) -> Device:
        """Site, tags, groups, note: what is left out stays as it is."""
        return await devices.patch(DeviceId(device), data)

    @delete("/{device:str}/clone", guards=[needs(Permission.DEVICES_OPERATE)], status_code=200)
    async def clear_clone(self, devices: NamedDependency[DeviceService], device: FromPath[str]) -> Device:
        """One of the two agents was stopped. It is flagged again if both go on."""
        return await devices.clear_clone(DeviceId(device))

    @post("/{device:str}/revoke", guards=[needs(Permission.DEVICES_OPERATE)], status_code=200)
    async def revoke_device(self, devices: NamedDependency[DeviceService], device: FromPath[str]) -> Device:
        """For good: the device must be enrolled anew, with another key."""
        return await devices.revoke(DeviceId(device))


class FleetController(Controller):
    """For people."""

    path = "/api/v1/fleet"
    tags = ("devices",)

    @get(guards=[needs(Permission.DEVICES_READ)])
    async def list_fleet(self, devices: NamedDependency[DeviceService]) -> list[DeviceBrief]:
        """All devices in a few words, by name: for maps, counts and names. Fields that are as their default are left
        out."""
        return list(await devices.briefs())


class DesiredController(Controller):
    """For devices."""

    path = "/api/v1/device"
    tags = ("device",)

    @post("/token", status_code=200)
    async def make_token(
        self, request: Request[Any, Any, Any], assertions: NamedDependency[Assertions], data: JSONBody[TokenRequest]
    ) -> DeviceToken:
        """Exchanges a signed assertion, good once and for five minutes, for a bearer token."""
        spoken(request.headers.get(HEADER))
        return await assertions.exchange(data)

    @get("/desired", guards=[device_guard], raises=[])
    async def wait_desired(
        self,
        devices: NamedDependency[DeviceService],
        actions: NamedDependency[ActionService],
        calling_device: NamedDependency[DeviceId],
        after: FromQuery[int | None] = None,
        wait: Annotated[float, QueryParameter(ge=0, le=LONGEST_WAIT)] = 0.0,
    ) -> Response[DesiredState | None]:
        """At once, or when the generation is no longer `after`; 304 when `wait` seconds are over."""
        await devices.seen(calling_device)
        await actions.held(calling_device, after)
        desired = await devices.wait_desired(calling_device, after, wait)
        return Response(desired) if desired is not None else Response(None, status_code=304)
