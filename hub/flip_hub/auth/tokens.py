"""Bearer tokens: JWTs signed by the hub alone, each good for one audience: a call, a refresh, or a device's call."""

import hmac
import time
from collections import OrderedDict
from enum import StrEnum
from typing import TypeVar

import jwt
import msgspec
from msgspec import Struct

from flip_hub.problem import Unauthorized
from flip_hub.settings import AuthSection
from flip_wire.fleet import DeviceId, DeviceToken

MOST_VERIFIED = 20_000
"""Tokens that are remembered; the oldest goes first."""
_ALGORITHM = "HS256"
C = TypeVar("C", bound=Struct)


class Audience(StrEnum):
    USER = "user"
    REFRESH = "refresh"
    DEVICE = "device"


class UserClaims(Struct, frozen=True, kw_only=True):
    sub: str
    sid: str
    """The session, which may have ended meanwhile."""
    exp: float


class RefreshClaims(Struct, frozen=True, kw_only=True):
    sub: str
    sid: str
    turn: int
    """Which of the session's refresh tokens it is, counted from 0."""
    exp: float


class DeviceClaims(Struct, frozen=True, kw_only=True):
    sub: DeviceId
    exp: float
    iat: float
    life: str = ""
    """Of the agent that asked for it; empty when it did not tell."""


class Tokens:
    """Makes and reads them; reading raises `Unauthorized`."""

    def __init__(self, secret: bytes, lifetimes: AuthSection) -> None:
        self._secret = secret
        self._lifetimes = lifetimes
        self._verified: OrderedDict[str, DeviceClaims] = OrderedDict()
        """Devices' tokens that were found good, until they expire: each is sent some hundred times."""

    def secret_for(self, purpose: bytes) -> bytes:
        """32 bytes for another purpose than tokens, the same on every hub."""
        return hmac.digest(self._secret, b"flip " + purpose, "sha256")

    def for_user(self, username: str, session: str, until: float) -> tuple[str, float]:
        """And when it expires, which is not after `until`."""
        expires = int(min(time.time() + self._lifetimes.access_lifetime, until))
        return self._signed(UserClaims(sub=username, sid=session, exp=expires), Audience.USER), expires

    def for_refresh(self, username: str, session: str, turn: int, until: float) -> str:
        return self._signed(RefreshClaims(sub=username, sid=session, turn=turn, exp=int(until)), Audience.REFRESH)

    def for_device(self, device_id: DeviceId, life: str = "") -> DeviceToken:
        now = time.time()
        claims = DeviceClaims(
            sub=device_id, exp=int(now + self._lifetimes.device_token_lifetime), iat=round(now, 3), life=life
        )
        return DeviceToken(token=self._signed(claims, Audience.DEVICE), expires_at=claims.exp)

    def user(self, token: str) -> UserClaims:
        return self._read(token, Audience.USER, UserClaims, hint="log in again")

    def refresh(self, token: str) -> RefreshClaims:
        return self._read(token, Audience.REFRESH, RefreshClaims, hint="log in again")

    def device(self, token: str) -> DeviceClaims:
        claims = self._verified.get(token)
        if claims is not None and claims.exp > time.time():
            return claims
        claims = self._read(token, Audience.DEVICE, DeviceClaims, hint="ask for a new one at /api/v1/device/token")
        self._verified[token] = claims
        if len(self._verified) > MOST_VERIFIED:
            self._verified.popitem(last=False)
        return claims

    def _signed(self, claims: Struct, audience: Audience) -> str:
        payload = {"iat": int(time.time()), **msgspec.to_builtins(claims), "aud": audience.value}
        return jwt.encode(payload, self._secret, _ALGORITHM)

    def _read(self, token: str, audience: Audience, kind: type[C], hint: str) -> C:
        try:
            payload = jwt.decode(
                token, self._secret, [_ALGORITHM], audience=audience.value, options={"require": ["exp", "aud", "sub"]}
            )
            return msgspec.convert(payload, kind)
        except jwt.ExpiredSignatureError as error:
            raise Unauthorized("the token has expired", hint=hint) from error
        except (jwt.InvalidTokenError, msgspec.ValidationError) as error:
            raise Unauthorized("the token is not valid", hint=hint) from error
