"""Login through a provider: whom it vouches for has an account here, with the role that a claim gives.

An account belongs to one subject of one issuer: neither a local account nor another person's is taken over by a name.
"""

import secrets

import msgspec
from msgspec import Struct

from flip_hub.audit.service import Audit
from flip_hub.auth.oidc_provider import Claims, OidcProvider
from flip_hub.auth.permissions import Role
from flip_hub.auth.schemas import Session, Username
from flip_hub.auth.service import AuthService, Client
from flip_hub.cluster.volatile import Volatile
from flip_hub.problem import Conflict, Forbidden
from flip_hub.settings import OidcSection
from flip_hub.users.schemas import AccountChange
from flip_hub.users.service import UserService
from flip_hub.users.store import User, UserStore, new_user

WITHIN = 600.0
"""Seconds that somebody has for the login there."""


class Begun(Struct, frozen=True):
    nonce: str
    verifier: str
    next: str
    """Path in the console."""


class OidcLogin:
    def __init__(
        self,
        settings: OidcSection,
        provider: OidcProvider,
        volatile: Volatile,
        users: UserStore,
        accounts: UserService,
        auth: AuthService,
        audit: Audit,
    ) -> None:
        self._settings = settings
        self._provider = provider
        self._volatile = volatile
        self._users = users
        self._accounts = accounts
        self._auth = auth
        self._audit = audit

    async def begin(self, following: str) -> tuple[str, str]:
        """Where the browser goes, and the state that it brings back."""
        if not self._settings.issuer:
            raise Conflict("this hub has no login provider", hint="set oidc.issuer")
        state, begun = secrets.token_urlsafe(24), Begun(secrets.token_urlsafe(24), secrets.token_urlsafe(48), following)
        await self._volatile.put(_key(state), msgspec.json.encode(begun), WITHIN)
        return await self._provider.address(state, begun.nonce, begun.verifier), state

    async def finish(self, state: str, code: str, client: Client) -> tuple[Session, str]:
        """And the path in the console. Raises `Forbidden`; a state is good once."""
        kept = await self._volatile.take(_key(state))
        if kept is None:
            raise Forbidden("this login has expired or was finished before", hint="log in again")
        begun = msgspec.json.decode(kept, type=Begun)
        claims = await self._provider.claims(code, begun.nonce, begun.verifier)
        user = await self._user(claims)
        await self._audit.note("login through provider", actor=user.username, address=client.address)
        return await self._auth.begin(user, client), begun.next

    async def _user(self, claims: Claims) -> User:
        subject, role = f"{self._settings.issuer} {claims['sub']}", self._role(claims)
        user = await self._users.of_subject(subject)
        if user is None:
            return await self._new(subject, role, claims)
        if user.disabled:
            raise Forbidden(f"{user.username} is disabled", hint="ask an admin")
        if user.role is role:
            return user
        await self._accounts.change(user.username, AccountChange(role=role))
        changed = await self._users.of_subject(subject)
        if changed is None:
            raise Forbidden("the account was removed just now", hint="log in again")
        return changed

    async def _new(self, subject: str, role: Role, claims: Claims) -> User:
        try:
            username = msgspec.convert(claims.get(self._settings.username_claim), Username)
        except msgspec.ValidationError as error:
            raise Forbidden("the provider gives no name that fits here", hint="see oidc.username_claim") from error
        user = new_user(username, "", role, subject=subject)
        try:
            await self._users.add(user)
        except Conflict as error:
            raise Forbidden(f"{username} is somebody else's account here", hint="ask an admin to remove it") from error
        return user

    def _role(self, claims: Claims) -> Role:
        """The most powerful of those that are named."""
        claim = claims.get(self._settings.role_claim)
        values = [claim] if isinstance(claim, str) else claim if isinstance(claim, list) else []
        given = {self._settings.roles[value] for value in values if value in self._settings.roles}
        for role in reversed(Role):
            if role in given:
                return role
        raise Forbidden("the provider gives you no role on this hub", hint="see oidc.role_claim and oidc.roles")


def _key(state: str) -> str:
    return f"oidc:{state}"
