"""One's own account over HTTP: log in, go on, log out, see where one is logged in."""

from typing import Any

from litestar import Controller, Request, Response, delete, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody
from msgspec.structs import replace

from flip_hub.auth.callers import Caller
from flip_hub.auth.cookies import NAME, AnyRequest, no_cookie, refresh_cookie, refresh_token_of
from flip_hub.auth.first_admin import FirstAdmin
from flip_hub.auth.guards import anyone_known, needs
from flip_hub.auth.permissions import GRANTS, Permission, Role
from flip_hub.auth.schemas import (
    Ended,
    Login,
    Me,
    OpenSession,
    PasswordChange,
    Refresh,
    RoleGrant,
    Session,
    Setup,
    Ways,
)
from flip_hub.auth.service import AuthService, Client
from flip_hub.problem import Unauthorized
from flip_hub.settings import Settings


class AuthController(Controller):
    path = "/api/v1/auth"
    tags = ("auth",)

    @get("/ways")
    async def list_ways(
        self,
        request: Request[Any, Any, Any],
        first_admin: NamedDependency[FirstAdmin],
        settings: NamedDependency[Settings],
    ) -> Ways:
        """How one gets in here."""
        return Ways(
            setup=await first_admin.wanted(),
            session=NAME in request.cookies,
            oidc=settings.oidc.name if settings.oidc.issuer else "",
        )

    @post("/setup", status_code=200)
    async def set_up(
        self, request: Request[Any, Any, Any], first_admin: NamedDependency[FirstAdmin], data: JSONBody[Setup]
    ) -> Response[Session]:
        """Makes the first admin with the code in the hub's file `setup.code`; 409 once there is a user."""
        return _answer(request, await first_admin.make(data, client_of(request)), cookie=data.cookie)

    @post("/login", status_code=200)
    async def login(
        self, request: Request[Any, Any, Any], auth: NamedDependency[AuthService], data: JSONBody[Login]
    ) -> Response[Session]:
        """A name and a password for a bearer token and a refresh token. Guessing is answered 429."""
        return _answer(request, await auth.login(data, client_of(request)), cookie=data.cookie)

    @post("/refresh", status_code=200)
    async def refresh(
        self, request: Request[Any, Any, Any], auth: NamedDependency[AuthService], data: JSONBody[Refresh]
    ) -> Response[Session]:
        """The next bearer and refresh token; one that was used before ends its session."""
        token = data.refresh_token or refresh_token_of(request)
        if not token:
            raise Unauthorized("there is no session", hint="log in")
        return _answer(request, await auth.refresh(token), cookie=not data.refresh_token)

    @post("/logout", status_code=200)
    async def logout(
        self, request: Request[Any, Any, Any], auth: NamedDependency[AuthService], data: JSONBody[Refresh]
    ) -> Response[Ended]:
        """Ends the session of the refresh token, and takes the cookie back."""
        token = data.refresh_token or refresh_token_of(request)
        if not token:
            raise Unauthorized("there is no session", hint="log in")
        return Response(Ended(username=await auth.logout(token)), cookies=[no_cookie(request)])

    @post("/logout-everywhere", guards=[needs(Permission.ACCOUNT)], status_code=200)
    async def logout_everywhere(
        self, request: Request[Any, Any, Any], auth: NamedDependency[AuthService], me: NamedDependency[Me]
    ) -> Response[Ended]:
        """Ends every session of the caller's; API tokens go on."""
        await auth.end_all(me.username)
        return Response(Ended(username=me.username), cookies=[no_cookie(request)])

    @get("/me", guards=[anyone_known])
    async def read_me(self, me: NamedDependency[Me]) -> Me:
        """Whose token this is, and what it allows."""
        return me

    @get("/roles", guards=[anyone_known], sync_to_thread=False)
    def list_roles(self) -> list[RoleGrant]:
        """What each role may, from the one that may least on."""
        return [RoleGrant(role=role, permissions=sorted(GRANTS[role])) for role in Role]

    @get("/sessions", guards=[needs(Permission.ACCOUNT)])
    async def list_sessions(
        self, auth: NamedDependency[AuthService], caller: NamedDependency[Caller]
    ) -> list[OpenSession]:
        """Where the caller is logged in; newest first."""
        return await auth.sessions(caller.me.username, caller.session)

    @delete("/sessions/{session_id:str}", guards=[needs(Permission.ACCOUNT)], status_code=200)
    async def end_session(
        self, auth: NamedDependency[AuthService], me: NamedDependency[Me], session_id: FromPath[str]
    ) -> Ended:
        await auth.end_session(me.username, session_id)
        return Ended(username=me.username)

    @post("/password", guards=[needs(Permission.ACCOUNT)], status_code=200)
    async def change_password(
        self,
        request: Request[Any, Any, Any],
        auth: NamedDependency[AuthService],
        me: NamedDependency[Me],
        data: JSONBody[PasswordChange],
    ) -> Response[Session]:
        """Ends every session of the caller's, and begins a new one."""
        return _answer(request, await auth.change_password(me.username, data, client_of(request)), cookie=data.cookie)


def client_of(request: AnyRequest) -> Client:
    return Client(request.client.host if request.client else "", request.headers.get("User-Agent", ""))


def _answer(request: AnyRequest, session: Session, *, cookie: bool) -> Response[Session]:
    if not cookie:
        return Response(session)
    return Response(replace(session, refresh_token=""), cookies=[refresh_cookie(request, session)])
