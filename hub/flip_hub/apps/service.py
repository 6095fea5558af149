"""Apps from their upload to the moment a run needs them: kept by hash, signed, and only then given out to run."""

import asyncio
from collections.abc import Sequence

from flip_hub.api.pages import Page, Wanted
from flip_hub.apps.keys import AppKeys
from flip_hub.apps.schemas import App, AppSignature
from flip_hub.apps.signatures import signed_by, verifications
from flip_hub.apps.store import AppStore
from flip_hub.artifacts.artifacts import Artifacts
from flip_hub.federation.fab import read_app
from flip_hub.problem import Conflict, NotFound, Unprocessable
from flip_runtime.errors import Corrupt
from flip_wire.models import Sha256


class AppService:
    def __init__(self, store: AppStore, artifacts: Artifacts, keys: AppKeys) -> None:
        self._store = store
        self._artifacts = artifacts
        self._keys = keys

    async def add(self, fab: bytes) -> App:
        """The same file again is the same app. Raises `Rejected` that says what is wrong with it."""
        app = await asyncio.to_thread(read_app, fab, here=True)
        await self._artifacts.put(fab)
        return await self._store.add(app)

    async def list(self, wanted: Wanted, name: str | None = None) -> Page[App]:
        """Newest first."""
        return await self._store.newest(wanted, name)

    async def get(self, fab_hash: Sha256) -> App:
        """Raises `NotFound`."""
        app = await self._store.get(fab_hash)
        if app is None:
            raise NotFound(f"no app {fab_hash[:80]!r}", hint="upload it first: POST /api/v1/apps")
        return app

    async def sign(self, fab_hash: Sha256, signature: AppSignature) -> App:
        """Keeps a signature. Raises `NotFound`, or `Unprocessable` when no trusted key has made it."""
        app = await self.get(fab_hash)
        public_key = (await self._keys.trusted()).get(signature.key)
        if public_key is None:
            hint = "trust it first: flip-hub apps keys add FILE.pub"
            raise Unprocessable(f"devices do not trust the key {signature.key[:80]!r}", hint=hint)
        if not signed_by(public_key, app.fab_hash, signature):
            raise Unprocessable("this is no signature of that key over this app", hint="sign the very file")
        await self._store.sign(app.fab_hash, signature)
        return await self.get(app.fab_hash)

    async def file_to_run(self, app: App) -> bytes:
        """The FAB, signed: where the policy allows it, the hub signs what nobody has. Raises `Conflict`."""
        if not await self._signatures(app):
            if not self._keys.hub_signs:
                reason = f"no trusted key has signed {app.name} {app.version}, so devices would refuse it"
                hint = "sign it: flip-hub apps sign APP --key FILE; or let the hub sign: apps.hub_signs in hub.toml"
                raise Conflict(reason, hint=hint)
            await self._store.sign(app.fab_hash, self._keys.sign(app.fab_hash))
        try:
            return await self._artifacts.read(app.fab_hash)
        except Corrupt as error:
            raise Conflict(f"the stored app cannot be used: {error.args[0]}", hint="upload it again") from error

    async def verifications(self, fab_hash: str) -> dict[str, str]:
        """What devices find in the FAB (`Fab.verifications`); empty for an app that no trusted key has signed."""
        app = await self._store.get(Sha256(fab_hash))
        return {} if app is None else verifications(await self._signatures(app))

    async def _signatures(self, app: App) -> Sequence[AppSignature]:
        """Those of keys that are trusted now."""
        trusted = await self._keys.trusted()
        return [signature for signature in app.signatures if signature.key in trusted]
