"""Whose signature devices trust. They learn these keys when they enrol: a change reaches them when they enrol again.

The hub's own key is one of them where the policy lets the hub sign (`apps.hub_signs`).
"""

import time

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from flip_hub.api.pages import Page, Wanted, cut
from flip_hub.apps.schemas import AppKey, AppKeyRequest, AppSignature
from flip_hub.apps.signatures import load_public_key, public_line, sign_app
from flip_hub.apps.store import AppKeyStore
from flip_hub.problem import Conflict, NotFound, Unprocessable
from flip_runtime.errors import Rejected
from flip_wire.keys import id_of_key
from flip_wire.models import Sha256

MOST_KEYS = 100
"""Each device keeps all of them."""
_NAME_LENGTH = range(1, 65)


class AppKeys:
    def __init__(self, store: AppKeyStore, own_key: Ed25519PrivateKey, *, hub_signs: bool) -> None:
        self._store = store
        self._own_key = own_key
        line = public_line(own_key)
        self._own = AppKey(id=id_of_key(line), public_key=line, name="this hub", added_by="", added_at=None)
        self.hub_signs = hub_signs

    async def list(self) -> list[AppKey]:
        return [*([self._own] if self.hub_signs else []), *await self._store.all()]

    async def page(self, wanted: Wanted) -> Page[AppKey]:
        return cut(await self.list(), wanted, lambda key: (key.added_at or 0.0, key.id))

    async def trusted(self) -> dict[str, str]:
        """Public keys by their id."""
        return {key.id: key.public_key for key in await self.list()}

    async def add(self, request: AppKeyRequest, by: str) -> AppKey:
        """The same key again is the same entry. Raises `Unprocessable`, or `Conflict` when there are too many."""
        if len(request.name) not in _NAME_LENGTH or not request.name.isprintable():
            raise Unprocessable("name must be 1 to 64 printable characters", hint="say whose key it is")
        try:
            line = public_line(load_public_key(request.public_key))
        except Rejected as error:
            raise Unprocessable(f"public_key: {error.args[0]}", hint=error.hint) from error
        if await self._store.count() >= MOST_KEYS:
            raise Conflict(f"there are {MOST_KEYS} keys already", hint="remove one: flip-hub apps keys remove ID")
        key = AppKey(id=id_of_key(line), public_key=line, name=request.name, added_by=by, added_at=time.time())
        return await self._store.add(key)

    async def remove(self, key_id: str) -> AppKey:
        """What it alone has signed is not started any more. Raises `NotFound`, `Conflict` for the hub's own."""
        if self.hub_signs and key_id == self._own.id:
            raise Conflict("this is the hub's own key", hint="set apps.hub_signs = false in hub.toml")
        removed = await self._store.remove(key_id)
        if removed is None:
            raise NotFound(f"no key {key_id[:80]!r}", hint="flip-hub apps keys list")
        return removed

    def sign(self, fab_hash: Sha256) -> AppSignature:
        """With the hub's own key, where the policy allows it."""
        return sign_app(self._own_key, fab_hash, time.time())
