"""How a device becomes known: a single-use token is exchanged for an identity, wholly or not at all.

Each use of a token belongs to the key that took it. So an answer that was lost on the way can be asked for again, a
crash between claim and registration harms nothing, and a token for one device serves no other.
"""

import hashlib
import secrets
import time
from pathlib import Path

from flip_hub.api.pages import Page, Wanted
from flip_hub.apps.keys import AppKeys
from flip_hub.certificates import authority_fingerprint
from flip_hub.devices.keys import fingerprint
from flip_hub.devices.record import DeviceRecord
from flip_hub.devices.service import DeviceService
from flip_hub.devices.store import DeviceStore
from flip_hub.devices.wire_version import trouble
from flip_hub.enrolment.schemas import LONGEST_LIFETIME, EnrolmentToken, EnrolmentTokenRequest, ListedToken
from flip_hub.enrolment.store import EnrolmentStore, TokenRecord
from flip_hub.packages.install import InstallScript
from flip_hub.problem import Conflict, Forbidden, NotFound, Unprocessable
from flip_wire.fleet import DeviceId, Enrolled, EnrolRequest

NAME_LENGTH = range(1, 65)
_MAKE_ANOTHER = "make another: flip-hub enrolment-tokens create"


class EnrolmentService:
    """`model_keys` by their id; `fleet_address` as devices reach the gateway; `ca` the file with the hub's certificate
    authority, which `certifies` the API at `url` or not."""

    def __init__(
        self,
        tokens: EnrolmentStore,
        registry: DeviceStore,
        devices: DeviceService,
        app_keys: AppKeys,
        model_keys: dict[str, str],
        fleet_address: str,
        ca: Path,
        *,
        certifies: bool,
        url: str,
        install: InstallScript,
    ) -> None:
        self._tokens = tokens
        self._registry = registry
        self._devices = devices
        self._app_keys = app_keys
        self._model_keys = model_keys
        self._fleet_address = fleet_address
        self.ca = ca.read_text()
        """PEM."""
        self._url = url
        self._install = install
        self._ca_sha256 = authority_fingerprint(self.ca.encode()) if certifies else ""

    async def create_token(self, wanted: EnrolmentTokenRequest, *, by: str) -> EnrolmentToken:
        """Raises `Unprocessable`."""
        if not 0 < wanted.lifetime <= LONGEST_LIFETIME:
            raise Unprocessable("lifetime must be more than 0 seconds and at most 30 days", hint="3600 is an hour")
        token, now = f"enrol_{secrets.token_urlsafe(32)}", time.time()
        record = TokenRecord(
            hash=_hash(token),
            id=f"tok-{secrets.token_hex(6)}",
            created_at=now,
            created_by=by,
            expires_at=now + wanted.lifetime,
            uses=wanted.uses,
            left=wanted.uses,
            site=wanted.site,
            tags=wanted.tags,
            note=wanted.note,
        )
        await self._tokens.add(record)
        return EnrolmentToken(
            id=record.id,
            token=token,
            expires_at=record.expires_at,
            uses=record.uses,
            url=self._url,
            ca_sha256=self._ca_sha256,
            install_sha256=self._install.sha256,
        )

    async def tokens(self, wanted: Wanted) -> Page[ListedToken]:
        page = await self._tokens.page(wanted)
        return Page([record.listed for record in page.items], page.next)

    async def revoke_token(self, token_id: str) -> ListedToken:
        """Raises `NotFound`."""
        record = await self._tokens.revoke(token_id, time.time())
        if record is None:
            raise NotFound(f"no enrolment token {token_id!r}", hint="flip-hub enrolment-tokens list")
        return record.listed

    async def enrol(self, request: EnrolRequest) -> Enrolled:
        """Raises `Forbidden` for the token, `Unprocessable` for the key, `Conflict` for a name that is taken."""
        key = _checked(request)
        token = await self._claim(request.token, key)
        try:
            device_id = await self._register(request, key, token)
        except Conflict:
            if key not in token.keys:
                await self._tokens.release(token.hash, key)
            raise
        return Enrolled(
            device_id=device_id,
            fleet_address=self._fleet_address,
            ca=self.ca,
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
        raise Forbidden(f"the enrolment token {_over(known)}", hint=_MAKE_ANOTHER)

    async def _register(self, request: EnrolRequest, key: str, token: TokenRecord) -> DeviceId:
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
                wire_version=request.wire_version,
                site=token.site,
                tags=token.tags,
                enrolled_by=token.id,
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
    if wrong := trouble(request.wire_version):
        raise Unprocessable(wrong.detail, hint=wrong.hint)
    if len(request.name) not in NAME_LENGTH or not request.name.isprintable():
        raise Unprocessable("name must be 1 to 64 printable characters", hint="flip-agent enrol --name NAME")
    if len(request.agent_version) > 64:
        raise Unprocessable("agent_version must be at most 64 characters")
    return fingerprint(request.public_key)


def _over(token: TokenRecord) -> str:
    if token.revoked_at is not None:
        return "was revoked"
    if token.expires_at <= time.time():
        return "has expired"
    return "was used before" if token.uses == 1 else f"was used {token.uses} times, as often as it may be"


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
