"""The console hears of changes over a WebSocket, of the topics it watches, for as long as its user may."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
import pytest
import pytest_asyncio
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from core_hub import CoreHub, running_core
from flip_hub.auth.permissions import Role
from flip_hub.live import DeviceChanged, Frame, Lagged, ListGrew, Listing, LiveTopic, More
from flip_hub.live_routes import NOT_ALLOWED, NOT_LOGGED_IN, NOT_UNDERSTOOD

ALL = Lagged(topics=sorted(LiveTopic))
LATE = ListGrew(data=More(of=Listing.LATE, id="run-1"))
GAPS = ListGrew(data=More(of=Listing.GAPS, id="dev-1"))


@pytest_asyncio.fixture
async def hub(folder: Path, mongo_url: str) -> AsyncGenerator[CoreHub]:
    async with running_core(folder, mongo_url) as started, asyncio.timeout(60):
        yield started


@asynccontextmanager
async def _connected(hub: CoreHub, hello: object) -> AsyncGenerator[ClientConnection]:
    async with connect(hub.url.replace("http", "ws") + "/api/v1/live", proxy=None) as socket:
        await socket.send(hello if isinstance(hello, str) else msgspec.json.encode(hello).decode())
        yield socket


def _hello(hub: CoreHub, role: Role = Role.ADMIN, **more: object) -> dict[str, object]:
    return {"token": hub.as_user(role)["Authorization"].removeprefix("Bearer "), **more}


async def _frames(socket: ClientConnection) -> list[Frame]:
    return msgspec.json.decode(await socket.recv(), type=list[Frame])


async def _closed(socket: ClientConnection, code: int) -> None:
    with pytest.raises(ConnectionClosed) as closed:
        await _to_the_end(socket)
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == code


async def _to_the_end(socket: ClientConnection) -> None:
    while True:
        await socket.recv()


@pytest.mark.asyncio
async def test_a_reader_gets_a_frame_for_each_change(hub: CoreHub) -> None:
    async with _connected(hub, _hello(hub)) as socket:
        assert await _frames(socket) == [ALL]  # first of all: fetch your lists
        device = await hub.enrol("north")
        frame = (await _frames(socket))[0]
        assert isinstance(frame, DeviceChanged)
        assert (frame.data.id, frame.data.name) == (device.id, "north")


@pytest.mark.asyncio
async def test_a_reader_hears_of_the_topics_it_names_and_may_name_others(hub: CoreHub) -> None:
    async with _connected(hub, _hello(hub, topics=["devices"])) as socket:
        assert await _frames(socket) == [Lagged(topics=[LiveTopic.DEVICES])]
        hub.core.live.publish(LATE)
        hub.core.live.publish(GAPS)
        assert await _frames(socket) == [GAPS]
        await socket.send('{"topics": ["devices", "runs"]}')
        assert await _frames(socket) == [Lagged(topics=[LiveTopic.RUNS])], "of those it has missed all"
        hub.core.live.publish(LATE)
        assert await _frames(socket) == [LATE]
        await socket.send('{"topics": ["nothing"]}')
        await _closed(socket, NOT_UNDERSTOOD)


@pytest.mark.asyncio
@pytest.mark.parametrize("hello", ["garbage", '{"token": "forged"}', "{}", '{"topics": []}'])
async def test_without_a_good_token_the_connection_is_closed(hub: CoreHub, hello: str) -> None:
    async with _connected(hub, hello) as socket:
        await _closed(socket, NOT_LOGGED_IN)


@pytest.mark.asyncio
async def test_the_connection_ends_with_its_token(folder: Path, mongo_url: str) -> None:
    async with (
        running_core(folder, mongo_url, access_lifetime=1.5) as hub,
        _connected(hub, _hello(hub)) as socket,
        asyncio.timeout(20),
    ):
        assert await _frames(socket) == [ALL]
        await _closed(socket, NOT_LOGGED_IN)


@pytest.mark.asyncio
async def test_a_newer_token_of_the_same_user_keeps_the_connection_and_of_another_ends_it(hub: CoreHub) -> None:
    async with _connected(hub, _hello(hub)) as socket:
        assert await _frames(socket) == [ALL]
        await socket.send(msgspec.json.encode(_hello(hub)).decode())
        hub.core.live.publish(GAPS)
        assert await _frames(socket) == [GAPS]
        await socket.send(msgspec.json.encode(_hello(hub, Role.VIEWER)).decode())
        await _closed(socket, NOT_LOGGED_IN)


@pytest.mark.asyncio
async def test_the_connection_ends_when_its_user_is_logged_out_everywhere(hub: CoreHub) -> None:
    async with _connected(hub, _hello(hub, Role.OPERATOR)) as socket:
        assert await _frames(socket) == [ALL]
        disabled = {"disabled": True}
        answer = await hub.http.patch("/api/v1/users/operator", json=disabled, headers=hub.as_user())
        assert answer.status_code == 200, answer.text
        await _closed(socket, NOT_LOGGED_IN)


@pytest.mark.asyncio
async def test_what_a_reader_may_no_longer_see_ends_its_connection(
    hub: CoreHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    from flip_hub.auth import permissions, schemas
    from flip_hub.cluster.bus import Topic

    async with _connected(hub, _hello(hub, Role.VIEWER)) as socket:
        assert await _frames(socket) == [ALL]
        monkeypatch.setitem(schemas.GRANTS, Role.VIEWER, frozenset({permissions.Permission.RUNS_READ}))
        hub.core.shared.bus.tell(Topic.USER, b"viewer")
        await _closed(socket, NOT_ALLOWED)
    async with _connected(hub, _hello(hub, Role.VIEWER, topics=["devices"])) as socket:
        await _closed(socket, NOT_ALLOWED)
    async with _connected(hub, _hello(hub, Role.VIEWER)) as socket:
        assert await _frames(socket) == [Lagged(topics=[LiveTopic.RUNS])], "it watches all that it may"


@pytest.mark.asyncio
async def test_a_reader_that_left_is_forgotten(hub: CoreHub) -> None:
    async with _connected(hub, _hello(hub)):
        await _readers(hub, 1)
    await _readers(hub, 0)


async def _readers(hub: CoreHub, number: int) -> None:
    async with asyncio.timeout(10):
        while hub.core.live.readers != number:
            await asyncio.sleep(0.02)
