"""Files come to the hub by the tus protocol, with a real client, and become apps and versions of models."""

import asyncio
import base64
import hashlib
import os
import time
from collections.abc import AsyncGenerator, Callable
from pathlib import Path
from typing import Any, TypeVar

import httpx
import pytest
import pytest_asyncio
from tusclient.client import TusClient
from tusclient.exceptions import TusCommunicationError

from core_hub import CoreHub, problem, running_core
from flip_hub.auth.permissions import Role
from flip_hub.uploads.routes import PART, TUS

T = TypeVar("T")
CONTENT = os.urandom(700_000)
UPLOADS = "/api/v1/uploads"
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # the client closes no file
SPEAKS = {"Tus-Resumable": TUS}


@pytest_asyncio.fixture
async def hub(folder: Path, mongo_url: str) -> AsyncGenerator[CoreHub]:
    async with running_core(folder, mongo_url) as started, asyncio.timeout(120):
        yield started


def _client(hub: CoreHub, role: Role = Role.OPERATOR) -> TusClient:
    return TusClient(f"{hub.url}{UPLOADS}", headers=hub.as_user(role))


def _file(folder: Path, content: bytes = CONTENT) -> str:
    path = folder / "file"
    path.write_bytes(content)
    return str(path)


async def _aside(call: Callable[[], T]) -> T:
    return await asyncio.to_thread(call)


async def _uploads(hub: CoreHub, role: Role = Role.OPERATOR) -> list[dict[str, Any]]:
    return (await hub.http.get(UPLOADS, headers=hub.as_user(role))).json()


async def _begin(hub: CoreHub, size: int | str = 10, **headers: str) -> httpx.Response:
    sent = {**hub.as_user(Role.OPERATOR), **SPEAKS, "Upload-Length": str(size), **headers}
    return await hub.http.post(UPLOADS, headers=sent)


async def _send(hub: CoreHub, path: str, content: bytes, offset: int | str, **headers: str) -> httpx.Response:
    said = {**SPEAKS, "Content-Type": PART, "Upload-Offset": str(offset), **headers}
    return await hub.http.patch(path, content=content, headers={**hub.as_user(Role.OPERATOR), **said})


@pytest.mark.asyncio
@pytest.mark.parametrize("checksum", [False, True])
async def test_a_tus_client_uploads_goes_on_where_it_stopped_and_the_hub_knows_the_hash(
    hub: CoreHub, folder: Path, checksum: bool
) -> None:
    more = {"chunk_size": 100_000, "upload_checksum": checksum, "metadata": {"filename": "weights \N{SNOWMAN}"}}
    first = _client(hub).uploader(_file(folder), **more)
    await _aside(lambda: first.upload(stop_at=300_000))
    (half,) = await _uploads(hub)
    assert (half["offset"], half["size"], half["name"], half["sha256"]) == (
        *(300_000, len(CONTENT), "weights \N{SNOWMAN}", None),
    )
    path = _file(folder)
    again = await _aside(lambda: _client(hub).uploader(path, url=first.url, **more))  # it asks for the offset
    assert again.offset == 300_000
    await _aside(again.upload)
    (whole,) = await _uploads(hub)
    assert (whole["offset"], whole["sha256"]) == (len(CONTENT), hashlib.sha256(CONTENT).hexdigest())
    assert whole["expires_at"] > time.time() + 3600


@pytest.mark.asyncio
async def test_an_upload_is_its_owner_s_alone(hub: CoreHub) -> None:
    path = (await _begin(hub)).headers["Location"]
    for call in (hub.http.get, hub.http.delete):
        problem(await call(path, headers=hub.as_user(Role.ADMIN)), 404)
    assert (await hub.http.head(path, headers=hub.as_user(Role.ADMIN))).status_code == 404
    assert await _uploads(hub, Role.ADMIN) == []
    problem(await hub.http.get(UPLOADS, headers=hub.as_user(Role.VIEWER)), 403)
    assert (await hub.http.delete(path, headers={**hub.as_user(Role.OPERATOR), **SPEAKS})).status_code == 204
    assert await _uploads(hub) == []


@pytest.mark.asyncio
async def test_what_the_protocol_forbids_is_refused_and_changes_nothing(hub: CoreHub) -> None:
    path = (await _begin(hub)).headers["Location"]
    problem(await _send(hub, path, b"abc", 1), 409)
    problem(await _send(hub, path, b"abc", 0, **{"Content-Type": "text/plain"}), 415)
    problem(await _send(hub, path, b"abc", 0, **{"Tus-Resumable": "0.2.2"}), 412)
    problem(await _send(hub, path, b"x" * 11, 0), 413)
    wrong = base64.b64encode(hashlib.sha1(b"other").digest()).decode()  # noqa: S324
    problem(await _send(hub, path, b"abc", 0, **{"Upload-Checksum": f"sha1 {wrong}"}), 460)
    for checksum in ("md5 AAAA", "sha1 !"):
        problem(await _send(hub, path, b"abc", 0, **{"Upload-Checksum": checksum}), 400)
    for number in ("-1", "x", "1e3", "", "9" * 30):
        assert (await _send(hub, path, b"abc", number)).status_code in (400, 409)
    head = await hub.http.head(path, headers=hub.as_user(Role.OPERATOR))
    assert (head.headers["Upload-Offset"], head.headers["Upload-Length"]) == ("0", "10")
    for length in ("-1", "x", "", "1.5", str(2**60)):
        assert (await _begin(hub, length)).status_code in (400, 413)
    problem(await _begin(hub, **{"Upload-Metadata": "filename !!"}), 400)
    problem(await _begin(hub, **{"Upload-Metadata": "sha256 " + base64.b64encode(b"x").decode()}), 422)
    for name in ("..", "%2e%2e%2fhub.toml", "0" * 32, "x" * 1000):
        problem(await hub.http.get(f"{UPLOADS}/{name}", headers=hub.as_user(Role.OPERATOR)), 404)


@pytest.mark.asyncio
async def test_a_file_that_is_not_what_was_announced_is_thrown_away(hub: CoreHub) -> None:
    announced = base64.b64encode(hashlib.sha256(b"right").hexdigest().encode()).decode()
    path = (await _begin(hub, 5, **{"Upload-Metadata": f"sha256 {announced}"})).headers["Location"]
    problem(await _send(hub, path, b"wrong", 0), 422)
    problem(await hub.http.get(path, headers=hub.as_user(Role.OPERATOR)), 404)


@pytest.mark.asyncio
async def test_one_request_at_a_time_sends_an_upload(hub: CoreHub) -> None:
    path = (await _begin(hub, 20)).headers["Location"]
    go_on = asyncio.Event()

    async def slowly() -> AsyncGenerator[bytes]:
        yield b"x" * 10
        await go_on.wait()
        yield b"y" * 10

    said = {**hub.as_user(Role.OPERATOR), **SPEAKS, "Content-Type": PART, "Upload-Offset": "0"}
    async with asyncio.TaskGroup() as group:
        first = group.create_task(hub.http.patch(path, content=slowly(), headers=said))
        while (second := await _send(hub, path, b"z", 5)).status_code != 423:
            assert second.status_code == 409, second.text
            await asyncio.sleep(0.02)
        go_on.set()
    assert first.result().headers["Upload-Offset"] == "20"


@pytest.mark.asyncio
async def test_what_nobody_goes_on_with_expires(hub: CoreHub, folder: Path) -> None:
    path = (await _begin(hub)).headers["Location"]
    lying = [*(folder / "hub" / "uploads").iterdir()]
    assert len(lying) == 2
    for file in lying:
        os.utime(file, (0, 0))
    problem(await _send(hub, path, b"abc", 0), 404)
    async with asyncio.TaskGroup() as group:
        tidying = group.create_task(hub.core.uploads.keep_tidy())
        while any((folder / "hub" / "uploads").iterdir()):
            await asyncio.sleep(0.02)
        tidying.cancel()


@pytest.mark.asyncio
async def test_the_server_says_what_it_can(hub: CoreHub) -> None:
    said = (await hub.http.options(UPLOADS)).headers
    assert said["Tus-Version"] == TUS
    assert {"creation", "expiration", "checksum", "termination"} == set(said["Tus-Extension"].split(","))
    assert said["Tus-Checksum-Algorithm"] == "sha256,sha1"


@pytest.mark.asyncio
async def test_too_much_at_once_is_refused(hub: CoreHub) -> None:
    begun = [await _begin(hub, 4 * 2**30) for _ in range(6)]
    assert [answer.status_code for answer in begun] == [*[201] * 5, 409]
    assert "too much" in problem(begun[-1], 409).detail
    with pytest.raises(TusCommunicationError, match="403"):
        await _aside(_client(hub, Role.VIEWER).uploader(file_path=__file__).upload)
