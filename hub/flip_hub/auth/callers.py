"""Whom a bearer token belongs to, asked anew after `REMEMBERED` seconds at most, and at once when something changed.

So whoever is logged out, disabled or given another role is refused everywhere within that time, even where another
hub's message is lost. It is asked by routes, WebSockets and the Control port alike.
"""

import time
from typing import Protocol

from msgspec import Struct

from flip_hub.auth.schemas import Me
from flip_hub.auth.sessions import Sessions, ended
from flip_hub.auth.tokens import Tokens
from flip_hub.cluster.bus import Bus, Topic
from flip_hub.users.store import UserStore

REMEMBERED = 2.0
"""Seconds."""
MOST = 10_000
"""Tokens that are remembered."""
API_TOKEN = "flip_"  # noqa: S105  how one begins


class Caller(Struct, frozen=True, kw_only=True):
    me: Me
    expires_at: float
    """Of the token."""
    session: str = ""
    """Empty for an API token, and on the hub's own machine."""


class ApiTokens(Protocol):
    async def caller(self, token: str) -> Caller:
        """Raises `Unauthorized`."""
        ...


class Callers:
    def __init__(self, tokens: Tokens, sessions: Sessions, users: UserStore, api_tokens: ApiTokens, bus: Bus) -> None:
        self._tokens = tokens
        self._sessions = sessions
        self._users = users
        self._api_tokens = api_tokens
        self._remembered: dict[str, tuple[float, Caller]] = {}
        self._changes = 0
        bus.on(Topic.USER, self._forget_user)
        bus.on_gap(self._forget_all)

    async def known(self, token: str) -> Caller:
        """Raises `Unauthorized`."""
        looked_at, caller = self._remembered.get(token, (float("-inf"), None))
        if caller is not None and time.monotonic() - looked_at < REMEMBERED and time.time() < caller.expires_at:
            return caller
        changes, now = self._changes, time.monotonic()
        caller = await (self._api_tokens.caller(token) if token.startswith(API_TOKEN) else self._in_session(token))
        if changes == self._changes:  # else what was read may be of before the change
            if len(self._remembered) >= MOST:
                self._remembered.clear()
            self._remembered[token] = now, caller
        return caller

    async def still(self, token: str, caller: Caller) -> Me:
        """What `caller` may by now, in a stream that outlives the token of a session. Raises `Unauthorized`."""
        return await self._of_session(caller.session) if caller.session else (await self.known(token)).me

    async def _in_session(self, token: str) -> Caller:
        claims = self._tokens.user(token)
        return Caller(me=await self._of_session(claims.sid), expires_at=claims.exp, session=claims.sid)

    async def _of_session(self, session_id: str) -> Me:
        session = await self._sessions.get(session_id)
        user = None if session is None else await self._users.get(session.username)
        if session is None or user is None or user.disabled or user.stamp != session.stamp:
            raise ended()
        return Me.of(user.username, user.role)

    def _forget_user(self, username: bytes) -> None:
        name = username.decode()
        self._changes += 1
        self._remembered = {token: kept for token, kept in self._remembered.items() if kept[1].me.username != name}

    def _forget_all(self) -> None:
        self._changes += 1
        self._remembered.clear()
