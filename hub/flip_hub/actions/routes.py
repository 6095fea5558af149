"""Actions over HTTP, for people; devices find them in their desired state."""

from litestar import Controller, MediaType, Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody

from flip_hub.actions.schemas import ActionRequest, DeviceAction
from flip_hub.actions.service import ActionService
from flip_hub.api.pages import Page, Wanted
from flip_hub.auth.guards import needs
from flip_hub.auth.permissions import Permission
from flip_hub.auth.schemas import Me
from flip_wire.actions import ActionId
from flip_wire.fleet import DeviceId


class ActionController(Controller):
    path = "/api/v1/devices/{device:str}/actions"
    tags = ("devices",)

    @post(guards=[needs(Permission.DEVICES_OPERATE)])
    async def ask(
        self,
        actions: NamedDependency[ActionService],
        me: NamedDependency[Me],
        device: FromPath[str],
        data: JSONBody[ActionRequest],
    ) -> DeviceAction:
        """The device does it once, as soon as it hears of it, unless the time is over before."""
        return await actions.ask(DeviceId(device), data, by=me.username)

    @get(guards=[needs(Permission.DEVICES_READ)])
    async def list_actions(
        self, actions: NamedDependency[ActionService], device: FromPath[str], wanted: NamedDependency[Wanted]
    ) -> Page[DeviceAction]:
        """Of the last 90 days, newest first."""
        return await actions.page(DeviceId(device), wanted)

    @get("/{action:str}", guards=[needs(Permission.DEVICES_READ)])
    async def get_action(
        self, actions: NamedDependency[ActionService], device: FromPath[str], action: FromPath[str]
    ) -> DeviceAction:
        return await actions.get(DeviceId(device), ActionId(action))

    @get("/{action:str}/log", guards=[needs(Permission.DEVICES_OPERATE)], media_type=MediaType.TEXT)
    async def get_log(
        self, actions: NamedDependency[ActionService], device: FromPath[str], action: FromPath[str]
    ) -> Response[bytes]:
        """What came with the result: collected logs, or what doctor said at length."""
        content = await actions.log(DeviceId(device), ActionId(action))
        headers = {"Content-Disposition": f'attachment; filename="{action}.log"', "X-Content-Type-Options": "nosniff"}
        return Response(content, media_type="text/plain; charset=utf-8", headers=headers)
