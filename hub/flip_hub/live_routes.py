"""The WebSocket by which the console hears of changes: token first, then frames until the token expires."""

import asyncio
import time
from typing import Any

import msgspec
from litestar import WebSocket, websocket
from litestar.di import NamedDependency
from litestar.exceptions import WebSocketDisconnect
from msgspec import Struct

from flip_hub.auth.guards import access_of
from flip_hub.live import Lagged, LiveHub
from flip_hub.problem import Unauthorized

Socket = WebSocket[Any, Any, Any]

HELLO_WITHIN = 5.0
"""Seconds."""
NOT_LOGGED_IN = 4401
"""Close code, after HTTP's 401: log in, then connect again."""


class Hello(Struct, frozen=True):
    """The first message; a browser cannot send a header with a WebSocket, and addresses end up in logs."""

    token: str


@websocket("/api/v1/live")
async def live_frames(socket: Socket, live: NamedDependency[LiveHub]) -> None:
    """One JSON frame for each changed device, run, round or model version."""
    await socket.accept()
    try:
        expires_at = await _expiry_of_token(socket)
        async with asyncio.timeout(expires_at - time.time()):
            await _forward(socket, live)
    except WebSocketDisconnect:
        return
    except (TimeoutError, Unauthorized, msgspec.DecodeError, UnicodeDecodeError):
        await socket.close(NOT_LOGGED_IN, "log in, then connect again")


async def _expiry_of_token(socket: Socket) -> float:
    async with asyncio.timeout(HELLO_WITHIN):
        hello = msgspec.json.decode(await socket.receive_data("text"), type=Hello)
    return (await access_of(socket).callers.known(hello.token)).expires_at


async def _forward(socket: Socket, live: NamedDependency[LiveHub]) -> None:
    """Sends until the reader leaves. First that it has missed what changed before now, so that it fetches its lists."""
    with live.reading() as reader:
        try:
            await socket.send_data(msgspec.json.encode(Lagged()).decode(), "text")
            async with asyncio.TaskGroup() as group:
                group.create_task(_until_left(socket))
                while True:
                    await socket.send_data((await reader.next()).decode(), "text")
        except* WebSocketDisconnect:
            pass


async def _until_left(socket: Socket) -> None:
    """Raises `WebSocketDisconnect`; what readers say after their token is not listened to."""
    while True:
        await socket.receive_data("text")
