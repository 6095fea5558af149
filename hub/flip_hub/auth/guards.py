"""Who may call a route: `needs(PERMISSION)` for people, `device_guard` for devices, `internal_guard` for ServerApps.

Behind `device_guard` a handler finds the caller in its parameter `calling_device: DeviceId`, behind `needs` in
`me: Me`; app-wide dependencies provide both (`CALLER`), and `caller: Caller` for who must know the session, too.
"""

import hmac
from typing import Any

from litestar import Request
from litestar.connection import ASGIConnection
from litestar.di import Provide
from litestar.handlers import BaseRouteHandler
from msgspec import Struct

from flip_hub.auth.callers import Caller, Callers
from flip_hub.auth.permissions import Permission, Role
from flip_hub.auth.schemas import Me
from flip_hub.auth.tokens import Tokens
from flip_hub.devices.leashed import tie
from flip_hub.devices.lives import Call
from flip_hub.devices.service import DeviceService
from flip_hub.devices.wire_version import spoken
from flip_hub.problem import Forbidden, Unauthorized
from flip_wire.fleet import DeviceId
from flip_wire.version import HEADER

Connection = ASGIConnection[Any, Any, Any, Any]

_STATE = "access"
LOCAL_USER = "flip.local"
"""In the scope of a request that came over the admin socket: `local:UID`."""


class Access(Struct, frozen=True):
    """What the guards decide by; the application keeps one."""

    callers: Callers
    tokens: Tokens
    devices: DeviceService
    internal_secret: bytes

    def as_state(self) -> dict[str, "Access"]:
        return {_STATE: self}


def access_of(connection: Connection) -> Access:
    return connection.app.state[_STATE]


class Needs(Struct, frozen=True):
    """A guard. Raises `Unauthorized` unless a person is known by a token, `Forbidden` unless this person may."""

    permission: Permission | None

    async def __call__(self, connection: Connection, _: BaseRouteHandler) -> None:
        caller = await _caller(connection)
        me = caller.me
        connection.state["caller"], connection.state["me"] = caller, me
        if self.permission is not None and not me.may(self.permission):
            raise Forbidden(f"this needs {self.permission}", hint=f"{me.username} is {me.role}; ask an admin")


async def _caller(connection: Connection) -> Caller:
    """Whoever came in over the hub's own socket needs no token."""
    user = connection.scope.get(LOCAL_USER)
    if user is not None:
        return Caller(me=Me.of(str(user), Role.ADMIN), expires_at=float("inf"))
    return await access_of(connection).callers.known(bearer(connection))


def needs(permission: Permission) -> Needs:
    return Needs(permission)


anyone_known = Needs(None)
"""A guard for what everybody may who is logged in."""


async def device_guard(connection: Connection, _: BaseRouteHandler) -> None:
    """Raises `Unauthorized` unless a device's token is presented, `Forbidden` when it was revoked since, or when its
    agent is too old or too new for this hub."""
    access = access_of(connection)
    address = connection.client.host if connection.client else ""
    device_id, call = device_call(access, bearer(connection), connection.headers.get(HEADER), address)
    tie(connection, access.devices.leashes, device_id)
    await access.devices.called(device_id, call)
    connection.state["device_id"] = device_id


def device_call(access: Access, token: str, wire: str | None, address: str) -> tuple[DeviceId, Call]:
    """Who calls, and what the call tells of its agent. Raises `Unauthorized`, or `Forbidden` for the wire version."""
    claims = access.tokens.device(token)
    return claims.sub, Call(wire_version=spoken(wire), life=claims.life, born=claims.iat, address=address)


def internal_guard(connection: Connection, _: BaseRouteHandler) -> None:
    """Raises `Unauthorized` unless the secret is presented that this hub gives to its own child processes."""
    if not hmac.compare_digest(bearer(connection).encode(), access_of(connection).internal_secret):
        raise Unauthorized("the internal secret is wrong", hint="only the hub's own processes call this")


def provide_me(request: Request[Any, Any, Any]) -> Me:
    return request.state["me"]


def provide_caller(request: Request[Any, Any, Any]) -> Caller:
    return request.state["caller"]


def provide_calling_device(request: Request[Any, Any, Any]) -> DeviceId:
    return request.state["device_id"]


CALLER = {
    "me": Provide(provide_me, sync_to_thread=False),
    "caller": Provide(provide_caller, sync_to_thread=False),
    "calling_device": Provide(provide_calling_device, sync_to_thread=False),
}


def bearer(connection: Connection) -> str:
    scheme, _, token = connection.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token:
        raise Unauthorized("this call needs a token", hint="send Authorization: Bearer TOKEN")
    return token.strip()
