"""Logging in, going on, logging out: a name and a password are exchanged for a session, slowly for who guesses."""

import asyncio

from msgspec import Struct

from flip_hub.audit.service import Audit
from flip_hub.auth.lockout import Lockout
from flip_hub.auth.passwords import AT_ONCE, Passwords
from flip_hub.auth.schemas import Login, OpenSession, PasswordChange, Session
from flip_hub.auth.sessions import Reused, SessionRecord, Sessions, ended
from flip_hub.auth.tokens import Tokens
from flip_hub.cluster.bus import Bus, Topic
from flip_hub.problem import Forbidden, NotFound, Unauthorized
from flip_hub.users.store import User, UserStore

_FORGOTTEN = "forgotten? on the hub's machine: flip-hub users list, flip-hub users password NAME"


class Client(Struct, frozen=True):
    """Where a login comes from."""

    address: str
    agent: str


class AuthService:
    def __init__(
        self,
        users: UserStore,
        sessions: Sessions,
        tokens: Tokens,
        passwords: Passwords,
        lockout: Lockout,
        bus: Bus,
        audit: Audit,
    ) -> None:
        self._users = users
        self._sessions = sessions
        self._tokens = tokens
        self._passwords = passwords
        self._lockout = lockout
        self._bus = bus
        self._audit = audit
        self._checks = asyncio.Semaphore(AT_ONCE)

    async def login(self, login: Login, client: Client) -> Session:
        """Raises `Unauthorized`, which does not say whether the name exists, or `TooMany`."""
        await self._lockout.attempt(client.address)
        return await self.begin(await self._checked(login.username, login.password, client), client)

    async def begin(self, user: User, client: Client) -> Session:
        """For somebody who has proven to be this user."""
        session, record = await self._sessions.begin(user.username, user.stamp, client.address, client.agent[:200])
        return self._answer(user, session, record)

    async def refresh(self, refresh_token: str) -> Session:
        """Raises `Unauthorized`."""
        claims = self._tokens.refresh(refresh_token)
        try:
            record = await self._sessions.exchange(claims.sid, claims.turn)
        except Reused:
            self._tell(claims.sub)
            detail = "a refresh token was used twice: the session has ended"
            await self._audit.note("session stolen", actor=claims.sub, subject=claims.sid, detail=detail, refused=True)
            raise
        user = await self._users.get(record.username)
        if user is None or user.disabled or user.stamp != record.stamp:
            raise ended()
        return self._answer(user, claims.sid, record)

    async def logout(self, refresh_token: str) -> str:
        """Whose session it was. Raises `Unauthorized` for a token that is not one of ours."""
        claims = self._tokens.refresh(refresh_token)
        await self._end(claims.sub, claims.sid)
        return claims.sub

    async def sessions(self, username: str, current: str) -> list[OpenSession]:
        """Newest first."""
        user = await self._users.get(username)
        stamp = None if user is None else user.stamp
        records = (await self._sessions.of(username)).items()
        shown = [
            OpenSession(
                id=session,
                begun_at=record.begun_at,
                used_at=record.used_at,
                ends_at=record.ends_at,
                address=record.address,
                agent=record.agent,
                current=session == current,
            )
            for session, record in records
            if record.stamp == stamp
        ]
        return sorted(shown, key=lambda each: each.begun_at, reverse=True)

    async def end_session(self, username: str, session: str) -> None:
        """Raises `NotFound` when it is not one of this person's."""
        record = await self._sessions.get(session)
        if record is None or record.username != username:
            raise NotFound("no such session")
        await self._end(username, session)

    async def end_all(self, username: str) -> None:
        """Log-out everywhere."""
        await self._users.renew_stamp(username)
        self._tell(username)

    async def change_password(self, username: str, change: PasswordChange, client: Client) -> Session:
        """Ends every session, and begins one. Raises `Forbidden` when the old one is wrong."""
        try:
            user = await self._checked(username, change.old, client)
        except Unauthorized as error:
            raise Forbidden("the old password is wrong") from error
        await self._users.set_password(user.username, await self._passwords.hash(change.new))
        self._tell(username)
        changed = await self._users.get(username)
        if changed is None:
            raise ended()
        return await self.begin(changed, client)

    async def _checked(self, username: str, password: str, client: Client) -> User:
        async with self._checks:
            await self._lockout.check(username, client.address)
            user = await self._users.get(username)
            good = await self._passwords.verify(password, None if user is None else user.password_hash or None)
            if user is None or not good or user.disabled:
                await self._lockout.failed(username, client.address)
                raise Unauthorized("wrong name or password", hint=_FORGOTTEN)
        await self._lockout.succeeded(username)
        return user

    async def _end(self, username: str, session: str) -> None:
        await self._sessions.end(session)
        self._tell(username)

    def _tell(self, username: str) -> None:
        self._bus.tell(Topic.USER, username.encode())

    def _answer(self, user: User, session: str, record: SessionRecord) -> Session:
        token, expires_at = self._tokens.for_user(user.username, session, record.ends_at)
        return Session(
            token=token,
            expires_at=expires_at,
            username=user.username,
            role=user.role,
            refresh_token=self._tokens.for_refresh(user.username, session, record.turn, record.ends_at),
            ends_at=record.ends_at,
        )
