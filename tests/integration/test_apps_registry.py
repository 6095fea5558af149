"""Apps at the hub: whose signature counts, when the hub itself signs, and what is refused before any device sees it."""

from collections.abc import AsyncGenerator
from pathlib import Path

import pytest
import pytest_asyncio
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hub_parts import HubParts, fab_of, hub_parts

from flip_hub.api.pages import Wanted
from flip_hub.apps.keys import AppKeys
from flip_hub.apps.schemas import AppKey, AppKeyRequest
from flip_hub.apps.service import AppService
from flip_hub.apps.signatures import public_line, sign_app
from flip_hub.apps.store import AppKeyStore, AppStore
from flip_hub.federation.schemas import RunRequest
from flip_hub.problem import Conflict, NotFound, Unprocessable
from flip_wire.models import Sha256

pytestmark = pytest.mark.asyncio

HUB_KEY, ADA, EVE = (Ed25519PrivateKey.generate() for _ in range(3))


@pytest_asyncio.fixture
async def hub(mongo_url: str, folder: Path) -> AsyncGenerator[HubParts]:
    async with hub_parts(mongo_url, folder) as parts:
        yield parts


def keys_of(hub: HubParts, *, hub_signs: bool = False) -> AppKeys:
    return AppKeys(AppKeyStore(hub.mongo.database), HUB_KEY, hub_signs=hub_signs)


def apps_of(hub: HubParts, keys: AppKeys) -> AppService:
    return AppService(AppStore(hub.mongo.database), hub.artifacts, keys)


async def trust(keys: AppKeys, key: Ed25519PrivateKey, name: str = "ada") -> AppKey:
    return await keys.add(AppKeyRequest(public_key=f"{public_line(key)} comment", name=name), by="admin")


async def test_an_app_runs_once_a_trusted_key_has_signed_it(hub: HubParts) -> None:
    keys = keys_of(hub)
    apps = apps_of(hub, keys)
    fab = fab_of()
    app = await apps.add(fab)
    with pytest.raises(Conflict, match=r"no trusted key has signed tiny 1\.2\.0"):
        await apps.file_to_run(app)
    assert await apps.verifications(app.fab_hash) == {}
    ada = await trust(keys, ADA)
    await apps.sign(app.fab_hash, sign_app(ADA, app.fab_hash, at=1.0))
    app = await apps.sign(app.fab_hash, sign_app(ADA, app.fab_hash, at=2.0))
    assert [(signature.key, signature.signed_at) for signature in app.signatures] == [(ada.id, 2)]
    assert await apps.add(fab) == app, "uploading it again keeps its signatures"
    assert await apps.file_to_run(app) == fab
    assert set(await apps.verifications(app.fab_hash)) == {"valid_license", ada.id}


async def test_a_signature_is_kept_only_when_it_is_a_trusted_keys_over_that_app(hub: HubParts) -> None:
    keys = keys_of(hub)
    apps = apps_of(hub, keys)
    app = await apps.add(fab_of())
    ada = await trust(keys, ADA)
    good = sign_app(ADA, app.fab_hash, at=1.0)
    refused = [
        (sign_app(EVE, app.fab_hash, at=1.0), "do not trust the key"),
        (sign_app(ADA, Sha256("0" * 64), at=1.0), "no signature of that key"),
        (type(good)(key=ada.id, signature=good.signature, signed_at=2), "no signature of that key"),
        (type(good)(key=ada.id, signature="nonsense", signed_at=2**70), "no signature of that key"),
    ]
    for signature, reason in refused:
        with pytest.raises(Unprocessable, match=reason):
            await apps.sign(app.fab_hash, signature)
    with pytest.raises(NotFound):
        await apps.sign(Sha256("0" * 64), good)
    assert (await apps.get(app.fab_hash)).signatures == []


async def test_the_hub_signs_what_nobody_has_where_the_policy_lets_it(hub: HubParts) -> None:
    keys = keys_of(hub, hub_signs=True)
    apps = apps_of(hub, keys)
    app = await apps.add(fab_of())
    (own,) = await keys.list()
    assert own.name == "this hub"
    await apps.file_to_run(app)
    assert set(await apps.verifications(app.fab_hash)) == {"valid_license", own.id}
    strict = apps_of(hub, keys_of(hub))
    assert await strict.verifications(app.fab_hash) == {}, "the policy was changed: its signature counts no more"
    with pytest.raises(Conflict, match="no trusted key"):
        await strict.file_to_run(await strict.get(app.fab_hash))


async def test_a_removed_key_has_signed_nothing_any_more(hub: HubParts) -> None:
    keys = keys_of(hub)
    apps = apps_of(hub, keys)
    app = await apps.add(fab_of())
    ada = await trust(keys, ADA)
    assert await trust(keys, ADA, name="again") == ada
    await apps.sign(app.fab_hash, sign_app(ADA, app.fab_hash, at=1.0))
    assert await keys.remove(ada.id) == ada
    with pytest.raises(NotFound):
        await keys.remove(ada.id)
    assert await keys.trusted() == {}
    with pytest.raises(Conflict, match="no trusted key"):
        await apps.file_to_run(await apps.get(app.fab_hash))


async def test_the_hubs_own_key_cannot_be_removed_and_odd_ones_not_added(hub: HubParts) -> None:
    keys = keys_of(hub, hub_signs=True)
    (own,) = await keys.list()
    with pytest.raises(Conflict, match="own key") as refusal:
        await keys.remove(own.id)
    assert "hub_signs" in refusal.value.hint
    for request in (
        AppKeyRequest(public_key="ssh-ed25519 AAAA", name="ada"),
        AppKeyRequest(public_key=public_line(ADA), name=""),
    ):
        with pytest.raises(Unprocessable):
            await keys.add(request, by="admin")


async def test_starting_a_run_has_its_app_signed_where_the_hub_may(hub: HubParts) -> None:
    await hub.enrol("one", node="1")
    app = await hub.apps.add(fab_of())
    assert app.signatures == []
    await hub.runs.start(RunRequest(fab_hash=app.fab_hash))
    (signed,) = (await hub.apps.list(Wanted())).items
    assert len(signed.signatures) == 1
