"""How a device becomes known: a single-use token is exchanged for an identity, wholly or not at all.

A token belongs to the key that first used it. So an answer that was lost on the way can be asked for again, a crash
between claim and registration harms nothing, and nobody else can use the token.
"""

import hashlib
import secrets
import time
from pathlib import Path

from flip_hub.apps.keys import AppKeys
from flip_hub.devices.keys import fingerprint
from flip_hub.devices.record import DeviceRecord
from flip_hub.devices.schemas import EnrolmentToken
from flip_hub.devices.service import DeviceService
from flip_hub.devices.store import DeviceStore
from flip_hub.enrolment.store import EnrolmentStore, TokenRecord
from flip_hub.problem import Conflict, Forbidden, Unprocessable
from flip_wire.fleet import DeviceId, Enrolled, EnrolRequest
from flip_wire.version import WIRE_VERSION

LONGEST_LIFETIME = 30 * 24 * 3600.0
"""Seconds."""
NAME_LENGTH = range(1, 65)
_MAKE_ANOTHER = "make another: flip-hub enrolment-tokens create"


class EnrolmentService:
    """`model_keys` by their id; `fleet_address` as devices reach the gateway; `ca` the file with the hub's certificate
    authority."""

    def __init__(
        self,
        tokens: EnrolmentStore,
        registry: DeviceStore,
        devices: DeviceService,
        app_keys: AppKeys,
        model_keys: dict[str, str],
        fleet_address: str,
        ca: Path,
    ) -> None:
        self._tokens = tokens
        self._registry = registry
        self._devices = devices
        self._app_keys = app_keys
        self._model_keys = model_keys
        self._fleet_address = fleet_address
        self._ca = ca.read_text()

    async def create_token(self, lifetime: float) -> EnrolmentToken:
        """`lifetime` in seconds. Raises `Unprocessable`."""
        if not 0 < lifetime <= LONGEST_LIFETIME:
            raise Unprocessable("lifetime must be more than 0 seconds and at most 30 days", hint="3600 is an hour")
        token = EnrolmentToken(token=f"enrol_{secrets.token_urlsafe(32)}", expires_at=time.time() + lifetime)
        await self._tokens.add(TokenRecord(hash=_hash(token.token), expires_at=token.expires_at))
        return token

    async def enrol(self, request: EnrolRequest) -> Enrolled:
        """Raises `Forbidden` for the token, `Unprocessable` for the key, `Conflict` for a name that is taken."""
        key = _checked(request)
        token = await self._claim(request.token, key)
        try:
            device_id = await self._register(request, key)
        except Conflict:
            if token.used_by is None:
                await self._tokens.release(token.hash, key)
            raise
        return Enrolled(
            device_id=device_id,
            fleet_address=self._fleet_address,
            ca=self._ca,
            app_keys=await self._app_keys.trusted(),
            model_keys=self._model_keys,
        )

    async def _claim(self, token: str, key: str) -> TokenRecord:
        claimed = await self._tokens.claim(_hash(token), key, time.time())
        if claimed is not None:
            return claimed
        known = await self._tokens.get(_hash(token))
        if known is None:
            raise Forbidden("the enrolment token is not known", hint=_MAKE_ANOTHER)
        reason = "has expired" if known.expires_at <= time.time() else "was used before"
        raise Forbidden(f"the enrolment token {reason}", hint=_MAKE_ANOTHER)

    async def _register(self, request: EnrolRequest, key: str) -> DeviceId:
        """A key that is enrolled under this name keeps its identity."""
        known = await self._registry.by_key(key)
        if known is None:
            record = DeviceRecord(
                id=DeviceId(f"dev-{secrets.token_hex(6)}"),
                name=request.name,
                public_key=request.public_key,
                fingerprint=key,
                enrolled_at=time.time(),
                agent_version=request.agent_version,
            )
            await self._devices.add(record)
            return record.id
        if known.revoked:
            hint = "enrol with a new key: delete device.key in the agent's state folder first"
            raise Conflict("the device with this key is revoked", hint=hint)
        if known.name != request.name:
            raise Conflict(f"this key is enrolled as {known.name!r}", hint=f"enrol with --name {known.name}")
        return known.id


def _checked(request: EnrolRequest) -> str:
    """The key's fingerprint, once everything that needs no registry is in order."""
    if request.wire_version > WIRE_VERSION:
        hint = "update the hub first, then its devices"
        raise Unprocessable(f"the agent speaks version {request.wire_version}, this hub {WIRE_VERSION}", hint=hint)
    if request.wire_version < 1:
        raise Unprocessable(f"no version {request.wire_version} of the protocol exists", hint="update the agent")
    if len(request.name) not in NAME_LENGTH or not request.name.isprintable():
        raise Unprocessable("name must be 1 to 64 printable characters", hint="flip-agent enrol --name NAME")
    if len(request.agent_version) > 64:
        raise Unprocessable("agent_version must be at most 64 characters")
    return fingerprint(request.public_key)


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
