"""`flwr login`: the command line is shown a page of the console, and is given a session when somebody confirms there.

Its tokens are those of every other session: the access token is short-lived and renewed by the refresh token, and
ending the user's sessions ends this one.
"""

from flwr.proto.control_pb2 import (
    GetAuthTokensRequest,
    GetAuthTokensResponse,
    GetLoginDetailsResponse,
    RefreshAuthTokensRequest,
    RefreshAuthTokensResponse,
)

from flip_hub.auth.service import AuthService, Client
from flip_hub.auth.sessions import ended
from flip_hub.auth.terminal_login import LIFETIME, POLL_EVERY, TerminalLogins
from flip_hub.users.store import UserStore

_OIDC = "oidc"
"""Of flwr's `AuthnType`: its command line then shows the URL and asks for tokens."""
_AGENT = "flwr"
"""As one's list of sessions names it."""


class SignIn:
    def __init__(self, logins: TerminalLogins, auth: AuthService, users: UserStore, console: str) -> None:
        """`console` is its URL."""
        self._logins = logins
        self._auth = auth
        self._users = users
        self._console = console

    async def details(self, address: str) -> GetLoginDetailsResponse:
        """Raises `TooMany`."""
        codes = await self._logins.begin(address)
        return GetLoginDetailsResponse(
            authn_type=_OIDC,
            device_code=codes.device,
            verification_uri_complete=f"{self._console}/confirm/{codes.user}",
            expires_in=int(LIFETIME),
            interval=POLL_EVERY,
        )

    async def tokens(self, request: GetAuthTokensRequest, address: str) -> tuple[str, GetAuthTokensResponse]:
        """And whose; nobody's, and none, while nobody has decided. Raises `Unauthorized` or `Forbidden`."""
        username = await self._logins.claim(request.device_code)
        if not username:
            return "", GetAuthTokensResponse()
        user = await self._users.get(username)
        if user is None or user.disabled:
            raise ended()
        session = await self._auth.begin(user, Client(address, _AGENT))
        tokens = GetAuthTokensResponse(access_token=session.token, refresh_token=session.refresh_token)
        return user.username, tokens

    async def renewed(self, request: RefreshAuthTokensRequest) -> RefreshAuthTokensResponse:
        """Raises `Unauthorized`."""
        session = await self._auth.refresh(request.refresh_token)
        return RefreshAuthTokensResponse(access_token=session.token, refresh_token=session.refresh_token)
