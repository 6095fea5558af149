"""Bearer tokens: JWTs signed by the hub alone; one for a person is worthless as a device's, and the other way round."""

import hmac
import time
from enum import StrEnum
from typing import TypeVar

import jwt
import msgspec
from msgspec import Struct

from flip_hub.auth.permissions import Role
from flip_hub.auth.schemas import Me, Session
from flip_hub.problem import Unauthorized
from flip_hub.settings import AuthSection
from flip_wire.fleet import DeviceId, DeviceToken

_ALGORITHM = "HS256"
C = TypeVar("C", bound=Struct)


class Audience(StrEnum):
    USER = "user"
    DEVICE = "device"


class UserClaims(Struct, frozen=True, kw_only=True):
    sub: str
    role: Role
    exp: float

    @property
    def me(self) -> Me:
        return Me.of(self.sub, self.role)

    @property
    def expires_at(self) -> float:
        return self.exp


class DeviceClaims(Struct, frozen=True, kw_only=True):
    sub: DeviceId
    exp: float


class Tokens:
    """Makes and reads them; reading raises `Unauthorized`."""

    def __init__(self, secret: bytes, lifetimes: AuthSection) -> None:
        self._secret = secret
        self._lifetimes = lifetimes

    def secret_for(self, purpose: bytes) -> bytes:
        """32 bytes for another purpose than tokens, the same on every hub."""
        return hmac.digest(self._secret, b"flip " + purpose, "sha256")

    def for_user(self, username: str, role: Role) -> Session:
        claims = UserClaims(sub=username, role=role, exp=int(time.time() + self._lifetimes.session_lifetime))
        return Session(token=self._signed(claims, Audience.USER), expires_at=claims.exp, username=username, role=role)

    def for_device(self, device_id: DeviceId) -> DeviceToken:
        claims = DeviceClaims(sub=device_id, exp=int(time.time() + self._lifetimes.device_token_lifetime))
        return DeviceToken(token=self._signed(claims, Audience.DEVICE), expires_at=claims.exp)

    def user(self, token: str) -> UserClaims:
        return self._read(token, Audience.USER, UserClaims, hint="log in again")

    def device(self, token: str) -> DeviceClaims:
        return self._read(token, Audience.DEVICE, DeviceClaims, hint="ask for a new one at /api/v1/device/token")

    def _signed(self, claims: Struct, audience: Audience) -> str:
        payload = {**msgspec.to_builtins(claims), "aud": audience.value, "iat": int(time.time())}
        return jwt.encode(payload, self._secret, _ALGORITHM)

    def _read(self, token: str, audience: Audience, kind: type[C], hint: str) -> C:
        try:
            payload = jwt.decode(token, self._secret, [_ALGORITHM], audience=audience.value)
            return msgspec.convert(payload, kind)
        except jwt.ExpiredSignatureError as error:
            raise Unauthorized("the token has expired", hint=hint) from error
        except (jwt.InvalidTokenError, msgspec.ValidationError) as error:
            raise Unauthorized("the token is not valid", hint=hint) from error
