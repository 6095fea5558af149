"""The two calls that devices make all the time, telemetry and the long poll, as a plain ASGI handler.

They are most of what a hub does: ten thousand devices make a thousand of them a second. What goes well is answered
here, in a third of the framework's time. What is refused is handed to the application, which has the same calls,
refuses it again, and has it noted in the audit: there is one place that says no.
"""

import logging
import re
import time
from collections.abc import Awaitable, Callable
from http import HTTPStatus

import msgspec
from litestar.types import ASGIApp, HTTPReceiveMessage, HTTPScope, Receive, Scope, Send, WebSocketReceiveMessage

from flip_hub.actions.service import ActionService
from flip_hub.auth.guards import Access, device_call
from flip_hub.devices.lives import Call
from flip_hub.devices.service import DeviceService
from flip_hub.problem import PROBLEM_JSON, Refused, TooLarge, Unauthorized, told
from flip_hub.telemetry.batch import MAX_SENT, read_batch
from flip_hub.telemetry.service import TelemetryService
from flip_wire.fleet import DeviceId
from flip_wire.version import HEADER

log = logging.getLogger(__name__)

Headers = dict[bytes, bytes]
Answer = tuple[HTTPStatus, bytes]

TELEMETRY = "/api/v1/device/telemetry"
DESIRED = "/api/v1/device/desired"
_WAITING = re.compile(rb"after=(\d{1,18})&wait=(\d{1,2}(?:\.\d{1,3})?)")
"""As agents ask; whatever else is asked is the application's affair."""
_LONGEST_WAIT = 60.0
_WIRE = HEADER.lower().encode()
_JSON = b"application/json"


class DeviceFront:
    def __init__(
        self,
        app: ASGIApp,
        access: Access,
        telemetry: TelemetryService,
        actions: ActionService,
        is_prepared: Callable[[], bool],
    ) -> None:
        self._app = app
        self._access = access
        self._telemetry = telemetry
        self._actions = actions
        self._is_prepared = is_prepared
        self._answers: dict[tuple[str, str], Callable[[HTTPScope, Body], Awaitable[Answer]]] = {
            ("POST", TELEMETRY): self._take_batch,
            ("GET", DESIRED): self._wait_desired,
        }

    @property
    def _devices(self) -> DeviceService:
        return self._access.devices

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        answer = self._answers.get((scope["method"], scope["path"])) if scope["type"] == "http" else None
        if answer is None or scope["type"] != "http" or not self._is_prepared():
            return await self._app(scope, receive, send)
        body = Body(receive)
        try:
            status, content = await answer(scope, body)
        except CallerGone:
            return None
        except Refused:
            return await self._app(scope, body.again, send)
        except Exception as error:  # a bug too is answered, and the next call shall not meet it
            return await _send_problem(scope, send, error)
        return await _send(scope, send, status, [(b"content-type", _JSON)], content)

    async def _take_batch(self, scope: HTTPScope, body: "Body") -> Answer:
        headers = dict(scope["headers"])
        device_id, call = self._caller(scope, headers)
        self._telemetry.admit(device_id)
        content = await body.whole(MAX_SENT)
        checked = read_batch(content, headers.get(b"content-encoding", b"").decode("latin-1"))
        return HTTPStatus.OK, msgspec.json.encode(await self._telemetry.accept(device_id, checked, call))

    async def _wait_desired(self, scope: HTTPScope, _: "Body") -> Answer:
        asked = _WAITING.fullmatch(scope["query_string"])
        if asked is None or float(asked[2]) > _LONGEST_WAIT:
            raise Refused("not as agents ask")
        device_id, call = self._caller(scope, dict(scope["headers"]))
        await self._devices.called(device_id, call)
        await self._devices.seen(device_id)
        await self._actions.held(device_id, int(asked[1]))
        desired = await self._devices.wait_desired(device_id, int(asked[1]), float(asked[2]))
        return (HTTPStatus.NOT_MODIFIED, b"") if desired is None else (HTTPStatus.OK, msgspec.json.encode(desired))

    def _caller(self, scope: HTTPScope, headers: Headers) -> tuple[DeviceId, Call]:
        scheme, _, token = headers.get(b"authorization", b"").decode("latin-1").partition(" ")
        if scheme.lower() != "bearer":
            raise Unauthorized("this call needs a token")
        wire = headers.get(_WIRE)
        address = scope["client"][0] if scope["client"] else ""
        return device_call(self._access, token.strip(), None if wire is None else wire.decode("latin-1"), address)


class CallerGone(Exception):
    """Nobody waits for the answer."""


class Body:
    """Of a request; it can be read again by somebody else."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._read: list[HTTPReceiveMessage] = []

    async def whole(self, most: int) -> bytes:
        """Raises `TooLarge` beyond `most` bytes, and `CallerGone`."""
        parts: list[bytes] = []
        size, more = 0, True
        while more:
            message = await self._receive()
            if message["type"] != "http.request":
                raise CallerGone
            self._read.append(message)
            parts.append(message["body"])
            size, more = size + len(parts[-1]), message["more_body"]
            if size > most:
                raise TooLarge(f"the body has more than {most} bytes", hint="split it")
        return b"".join(parts)

    async def again(self) -> HTTPReceiveMessage | WebSocketReceiveMessage:
        return self._read.pop(0) if self._read else await self._receive()


async def _send_problem(scope: HTTPScope, send: Send, error: Exception) -> None:
    problem, headers = told(error, scope["method"], scope["path"])
    given = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
    content_type = (b"content-type", PROBLEM_JSON.encode())
    await _send(scope, send, HTTPStatus(problem.status), [content_type, *given], msgspec.json.encode(problem))


async def _send(
    scope: HTTPScope, send: Send, status: HTTPStatus, headers: list[tuple[bytes, bytes]], content: bytes
) -> None:
    scope["path_template"] = scope["path"]
    headers = [*headers, (b"flip-time", f"{time.time():.3f}".encode())]
    if status is not HTTPStatus.NOT_MODIFIED:
        headers.append((b"content-length", str(len(content)).encode()))
    await send({"type": "http.response.start", "status": int(status), "headers": headers})
    await send({"type": "http.response.body", "body": content, "more_body": False})
