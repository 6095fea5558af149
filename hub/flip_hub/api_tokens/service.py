"""Makes, checks and revokes tokens for programs.

A token never allows more than its owner may at the moment, and nothing that concerns the owner's account. Who has it is
known by 256 random bits of which only a hash is kept; it is shown once.
"""

import hashlib
import hmac
import secrets
import time

from flip_hub.api_tokens.schemas import GRANTED, ApiToken, MadeApiToken, NewApiToken
from flip_hub.api_tokens.store import ApiTokenRecord, ApiTokenStore
from flip_hub.auth.callers import API_TOKEN, Caller
from flip_hub.auth.permissions import GRANTS, Permission
from flip_hub.auth.schemas import Me
from flip_hub.cluster.bus import Bus, Topic
from flip_hub.problem import Conflict, Forbidden, NotFound, Unauthorized, Unprocessable
from flip_hub.users.store import UserStore

MOST = 100
"""Tokens of one person."""
NOTED_EVERY = 60.0
"""Seconds between two notes of the last use."""


class ApiTokenService:
    def __init__(self, store: ApiTokenStore, users: UserStore, bus: Bus) -> None:
        self._store = store
        self._users = users
        self._bus = bus

    async def make(self, wanted: NewApiToken, me: Me) -> MadeApiToken:
        """Raises `Forbidden`, `Unprocessable` for an unknown owner, or a scope that the owner may not."""
        owner = await self._owner(wanted.username or me.username, me)
        beyond = set(wanted.scope) - (owner & GRANTED)
        if beyond:
            raise Unprocessable(f"not to be granted: {', '.join(sorted(beyond))}", hint="name another scope")
        username = wanted.username or me.username
        if len(await self._store.of(username)) >= MOST:
            raise Conflict(f"{username} has {MOST} tokens", hint="revoke those that are not used")
        token_id, secret, now = secrets.token_hex(6), secrets.token_urlsafe(32), time.time()
        record = ApiTokenRecord(
            id=token_id,
            token_hash=_hash(secret),
            name=wanted.name,
            username=username,
            scope=sorted(set(wanted.scope)),
            created_at=now,
            expires_at=now + wanted.lifetime,
        )
        await self._store.add(record)
        return MadeApiToken(token=f"{API_TOKEN}{token_id}_{secret}", about=record.shown)

    async def list(self, me: Me) -> list[ApiToken]:
        """The caller's; everybody's for who may manage accounts."""
        whose = None if me.may(Permission.USERS_MANAGE) else me.username
        return [record.shown for record in await self._store.of(whose)]

    async def revoke(self, token_id: str, me: Me) -> ApiToken:
        """At once. Raises `NotFound`."""
        record = await self._store.get(token_id)
        if record is None or not (record.username == me.username or me.may(Permission.USERS_MANAGE)):
            raise NotFound("no such token")
        await self._store.remove(token_id)
        self._bus.tell(Topic.USER, record.username.encode())
        return record.shown

    async def caller(self, token: str) -> Caller:
        """Raises `Unauthorized`."""
        token_id, _, secret = token.removeprefix(API_TOKEN).partition("_")
        record = await self._store.get(token_id[:64])
        if record is None or not hmac.compare_digest(record.token_hash, _hash(secret)):
            raise Unauthorized("the token is not valid", hint="flip-hub tokens create")
        now = time.time()
        if record.expires_at <= now:
            raise Unauthorized("the token has expired", hint="flip-hub tokens create")
        owner = await self._users.get(record.username)
        if owner is None or owner.disabled:
            raise Unauthorized("the token's owner may not log in", hint="ask an admin")
        if record.last_used is None or now - record.last_used > NOTED_EVERY:
            await self._store.used(record.id, now)
        me = Me.of(record.username, owner.role, frozenset(record.scope) & GRANTED)
        return Caller(me=me, expires_at=record.expires_at)

    async def _owner(self, username: str, me: Me) -> frozenset[Permission]:
        """What the owner may."""
        if username != me.username and not me.may(Permission.USERS_MANAGE):
            raise Forbidden("this token would be somebody else's", hint="leave the name out")
        user = await self._users.get(username)
        if user is None:
            raise Unprocessable(f"no user named {username!r}", hint="name whose it shall be: --user NAME")
        return GRANTS[user.role]


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
