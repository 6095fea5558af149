"""Every call of a device over HTTP is on a leash: however long its answer takes, it ends when the device is revoked."""

from typing import Any

from litestar.connection import ASGIConnection
from litestar.enums import ScopeType
from litestar.middleware import ASGIMiddleware
from litestar.types import ASGIApp, Message, Receive, Scope, Send

from flip_hub.devices.leash import Leash, Leashes
from flip_hub.problem import Forbidden
from flip_wire.fleet import DeviceId

DEVICE_CALLS = "/api/v1/device/"
_LEASH = "leash"


def tie(connection: ASGIConnection[Any, Any, Any, Any], leashes: Leashes, device_id: DeviceId) -> None:
    """Whose call it is."""
    leash: Leash = connection.state[_LEASH]
    leash.tie(leashes, device_id)


class Leashed(ASGIMiddleware):
    scopes = (ScopeType.HTTP,)

    async def handle(self, scope: Scope, receive: Receive, send: Send, next_app: ASGIApp) -> None:
        if not scope["path"].startswith(DEVICE_CALLS):
            await next_app(scope, receive, send)
            return
        begun = False

        async def noticed(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(message)

        try:
            async with Leash() as leash:
                ASGIConnection[Any, Any, Any, Any](scope).state[_LEASH] = leash
                await next_app(scope, receive, noticed)
        except Forbidden:
            if not begun:
                raise
            # an answer that is not whole has the server close the connection: the device takes it for none
