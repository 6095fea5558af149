"""Apps, their signatures and the keys that make them, over HTTP, for people."""

from typing import Any

from litestar import Controller, Request, delete, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, JSONBody

from flip_hub.api.describe import TAKES
from flip_hub.api.pages import Page, Wanted
from flip_hub.apps.keys import AppKeys
from flip_hub.apps.schemas import App, AppKey, AppKeyRequest, AppSignature, UploadedApp
from flip_hub.apps.service import AppService
from flip_hub.auth.guards import needs
from flip_hub.auth.permissions import Permission
from flip_hub.auth.schemas import Me
from flip_hub.federation.fab import FAB_LIMIT
from flip_hub.uploads.service import Uploads
from flip_wire.models import Sha256

_BODY_LIMIT = 64 * 2**20
"""Bytes; beyond Flower's own limit, so that a too large app gets an answer that names that limit."""
assert _BODY_LIMIT > FAB_LIMIT


class AppController(Controller):
    path = "/api/v1/apps"
    tags = ("runs",)

    @post(
        guards=[needs(Permission.RUNS_OPERATE)],
        request_max_body_size=_BODY_LIMIT,
        opt={TAKES: "application/octet-stream"},
    )
    async def upload_app(self, apps: NamedDependency[AppService], request: Request[Any, Any, Any]) -> App:
        """The body is the FAB itself, as `flwr build` makes it; the same file again is the same app."""
        return await apps.add(await request.body())

    @post("/uploaded", guards=[needs(Permission.RUNS_OPERATE)])
    async def take_uploaded_app(
        self,
        apps: NamedDependency[AppService],
        uploads: NamedDependency[Uploads],
        me: NamedDependency[Me],
        data: JSONBody[UploadedApp],
    ) -> App:
        """Of a FAB that was uploaded before (`POST /api/v1/uploads`)."""
        app = await apps.add(await uploads.read(me.username, data.upload, FAB_LIMIT))
        await uploads.remove(me.username, data.upload)
        return app

    @get(guards=[needs(Permission.APPS_READ)])
    async def list_apps(
        self, apps: NamedDependency[AppService], wanted: NamedDependency[Wanted], name: FromQuery[str | None] = None
    ) -> Page[App]:
        """Newest first."""
        return await apps.list(wanted, name)

    @post("/{fab_hash:str}/signatures", guards=[needs(Permission.APPS_SIGN)])
    async def sign_app(
        self, apps: NamedDependency[AppService], fab_hash: FromPath[str], data: JSONBody[AppSignature]
    ) -> App:
        """Of a key that devices trust; in place of an earlier one of the same key."""
        return await apps.sign(Sha256(fab_hash), data)


class AppKeyController(Controller):
    """Devices learn these keys when they enrol, and run only what one of them has signed."""

    path = "/api/v1/app-keys"
    tags = ("runs",)

    @get(guards=[needs(Permission.APPS_READ)])
    async def list_app_keys(self, app_keys: NamedDependency[AppKeys], wanted: NamedDependency[Wanted]) -> Page[AppKey]:
        """The hub's own first, where it signs; then as they were added."""
        return await app_keys.page(wanted)

    @post(guards=[needs(Permission.APPS_TRUST)])
    async def add_app_key(
        self, app_keys: NamedDependency[AppKeys], me: NamedDependency[Me], data: JSONBody[AppKeyRequest]
    ) -> AppKey:
        return await app_keys.add(data, me.username)

    @delete("/{key_id:str}", guards=[needs(Permission.APPS_TRUST)], status_code=200)
    async def remove_app_key(self, app_keys: NamedDependency[AppKeys], key_id: FromPath[str]) -> AppKey:
        """Devices that enrolled before trust it until they enrol again; the hub starts nothing by it any more."""
        return await app_keys.remove(key_id)
