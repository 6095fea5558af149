"""The WebSocket by which the console hears of changes: token first, then frames for as long as who watches may.

What a reader says: first `{"token": …, "topics": […]}`, where topics that are left out are all that it may watch.
Later `{"topics": […]}` watches others, and `{"token": …}` goes on with a newer token. What it hears: JSON arrays of
`flip_hub.live.Frame`.
"""

import asyncio
import time
from contextlib import suppress
from typing import Any, NoReturn

import msgspec
from litestar import WebSocket, websocket
from litestar.di import NamedDependency
from litestar.exceptions import WebSocketDisconnect
from msgspec import Struct

from flip_hub.auth.callers import Caller, Callers
from flip_hub.auth.guards import access_of
from flip_hub.auth.permissions import Permission
from flip_hub.auth.schemas import Me
from flip_hub.live import LiveHub, LiveReader, LiveTopic
from flip_hub.problem import Forbidden, Unauthorized
from flip_runtime.errors import Unavailable

Socket = WebSocket[Any, Any, Any]

HELLO_WITHIN = 5.0
"""Seconds."""
LOOK_AGAIN = 30.0
"""Seconds after which the reader's rights are looked up again, also if nobody said that they have changed."""
GATHER = 0.02
"""Seconds between two messages to one reader: what changes meanwhile goes out together."""
MOST_AT_ONCE = 100
"""Frames of one message."""
MOST_READERS = 2000
NOT_UNDERSTOOD = 4400
NOT_LOGGED_IN = 4401
"""Close codes, after HTTP's. 4401: log in, then connect again."""
NOT_ALLOWED = 4403
TRY_LATER = 1013
"""Close code of the WebSocket protocol."""

_LOG_IN = "log in, then connect again"
_SAY = 'say {"topics": [...]} or {"token": ...}'

WATCHES = {
    LiveTopic.DEVICES: Permission.DEVICES_READ,
    LiveTopic.RUNS: Permission.RUNS_READ,
    LiveTopic.MODELS: Permission.MODELS_READ,
}
"""What a reader must be allowed to for each topic."""


class Hello(Struct, frozen=True, forbid_unknown_fields=True):
    """A browser cannot send a header with a WebSocket, and addresses end up in logs: so the token comes in here."""

    token: str | None = None
    topics: list[LiveTopic] | None = None


@websocket("/api/v1/live")
async def live_frames(socket: Socket, live: NamedDependency[LiveHub]) -> None:
    """Arrays of frames: one for each changed device, run, round or model version."""
    await socket.accept()
    try:
        if live.readers >= MOST_READERS:
            raise _Closed(TRY_LATER, "too many readers; try again later")
        watcher = await _greeted(socket)
        with live.reading(watcher.caller.me.username, watcher.topics) as reader:
            await watcher.follow(reader)
    except WebSocketDisconnect:
        return
    except _Closed as closed:
        await socket.close(closed.code, closed.reason)


class _Closed(Exception):
    """What is told whoever is cut off."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


async def _greeted(socket: Socket) -> "_Watcher":
    try:
        return await _greeting(socket)
    except Forbidden as error:
        raise _Closed(NOT_ALLOWED, error.args[0]) from error
    except (TimeoutError, Unauthorized, msgspec.DecodeError, UnicodeDecodeError) as error:
        raise _Closed(NOT_LOGGED_IN, _LOG_IN) from error


async def _greeting(socket: Socket) -> "_Watcher":
    async with asyncio.timeout(HELLO_WITHIN):
        hello = await _said(socket)
        if hello.token is None:
            raise Unauthorized("the first message holds no token")
        caller = await _known(socket, hello.token)
    socket.state["me"] = caller.me  # for the audit, as the guards of other routes do
    watcher = _Watcher(socket, access_of(socket).callers, hello.token, caller)
    watcher.choose(hello.topics)
    return watcher


class _Watcher:
    """One reader at its socket."""

    def __init__(self, socket: Socket, callers: Callers, token: str, caller: Caller) -> None:
        self.caller = caller
        self.topics: list[LiveTopic] = []
        self._socket = socket
        self._callers = callers
        self._token = token

    def choose(self, topics: list[LiveTopic] | None) -> None:
        """Raises `Forbidden` for one that this user may not watch."""
        me = self.caller.me
        self.topics = [topic for topic in WATCHES if me.may(WATCHES[topic])] if topics is None else topics
        _check(me, self.topics)

    async def follow(self, reader: LiveReader) -> None:
        """Until the reader leaves, or may no longer."""
        for topic in self.topics:
            reader.lag(topic)  # what changed before now: it fetches its lists first of all
        closed: _Closed | None = None
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._tell(reader))
                group.create_task(self._hear(reader))
                group.create_task(self._look(reader))
        except* WebSocketDisconnect:
            pass
        except* Unauthorized:
            closed = _Closed(NOT_LOGGED_IN, _LOG_IN)
        except* Forbidden as errors:
            closed = _Closed(NOT_ALLOWED, errors.exceptions[0].args[0])
        except* (msgspec.DecodeError, UnicodeDecodeError):
            closed = _Closed(NOT_UNDERSTOOD, _SAY)
        if closed is not None:
            raise closed

    async def _tell(self, reader: LiveReader) -> NoReturn:
        while True:
            frames = [await reader.next(), *reader.take(MOST_AT_ONCE)]
            await self._socket.send_data(f"[{b','.join(frames).decode()}]", "text")
            await asyncio.sleep(GATHER)

    async def _hear(self, reader: LiveReader) -> NoReturn:
        while True:
            hello = await _said(self._socket)
            if hello.token is not None:
                caller = await _known(self._socket, hello.token)
                if caller.me.username != self.caller.me.username:
                    raise Unauthorized("this token is of another user")
                self._token, self.caller = hello.token, caller
            if hello.topics is not None:
                self.choose(hello.topics)
                reader.watch(self.topics)

    async def _look(self, reader: LiveReader) -> NoReturn:
        """Raises `Unauthorized` when the token or the session has ended, `Forbidden` when rights are gone."""
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(min(LOOK_AGAIN, self.caller.expires_at - time.time())):
                    await reader.doubted.wait()
            reader.doubted.clear()
            if time.time() >= self.caller.expires_at:
                raise Unauthorized("the token has expired")
            with suppress(Unavailable):  # it is looked up again; the token ends in any case
                _check(await self._callers.still(self._token, self.caller), self.topics)


async def _said(socket: Socket) -> Hello:
    return msgspec.json.decode(await socket.receive_data("text"), type=Hello)


async def _known(socket: Socket, token: str) -> Caller:
    return await access_of(socket).callers.known(token)


def _check(me: Me, topics: list[LiveTopic]) -> None:
    for topic in topics:
        if not me.may(WATCHES[topic]):
            raise Forbidden(f"{me.username} may not watch {topic}")
