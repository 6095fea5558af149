"""The console hears of changes over a WebSocket, as long as its token is good."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from core_hub import CoreHub, running_core
from flip_hub.live import DeviceChanged, Frame, Lagged
from flip_hub.live_routes import NOT_LOGGED_IN


@asynccontextmanager
async def _connected(hub: CoreHub, hello: str | None = None) -> AsyncGenerator[ClientConnection]:
    async with connect(hub.url.replace("http", "ws") + "/api/v1/live", proxy=None) as socket:
        if hello is not None:
            await socket.send(hello)
        yield socket


def _hello(hub: CoreHub) -> str:
    token = hub.as_user()["Authorization"].removeprefix("Bearer ")
    return msgspec.json.encode({"token": token}).decode()


@pytest.mark.asyncio
async def test_a_reader_gets_a_frame_for_each_change(folder: Path, mongo_url: str) -> None:
    async with running_core(folder, mongo_url) as hub, _connected(hub, _hello(hub)) as socket:
        async with asyncio.timeout(10):
            assert msgspec.json.decode(await socket.recv(), type=Frame) == Lagged()  # first of all: fetch your lists
            device = await hub.enrol("north")
            frame = msgspec.json.decode(await socket.recv(), type=Frame)
        assert isinstance(frame, DeviceChanged)
        assert (frame.data.id, frame.data.name) == (device.id, "north")


@pytest.mark.asyncio
@pytest.mark.parametrize("hello", ["garbage", '{"token": "forged"}', "{}"])
async def test_without_a_good_token_the_connection_is_closed(hello: str, folder: Path, mongo_url: str) -> None:
    async with running_core(folder, mongo_url) as hub, _connected(hub, hello) as socket:
        with pytest.raises(ConnectionClosed) as closed:
            await socket.recv()
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == NOT_LOGGED_IN


@pytest.mark.asyncio
async def test_the_connection_ends_with_its_token(folder: Path, mongo_url: str) -> None:
    async with (
        running_core(folder, mongo_url, access_lifetime=1.5) as hub,
        _connected(hub, _hello(hub)) as socket,
        asyncio.timeout(10),
    ):
        assert msgspec.json.decode(await socket.recv(), type=Frame) == Lagged()
        with pytest.raises(ConnectionClosed) as closed:
            await socket.recv()
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == NOT_LOGGED_IN


@pytest.mark.asyncio
async def test_a_reader_that_left_is_forgotten(folder: Path, mongo_url: str) -> None:
    async with running_core(folder, mongo_url) as hub:
        async with _connected(hub, _hello(hub)):
            await _readers(hub, 1)
        await _readers(hub, 0)


async def _readers(hub: CoreHub, number: int) -> None:
    async with asyncio.timeout(10):
        while hub.core.live.readers != number:
            await asyncio.sleep(0.02)
