"""The two calls that devices make all the time, telemetry and the long poll, without the framework.

They are most of what a hub does: ten thousand devices make a thousand of them a second. What goes well is answered
here. What is refused is left to the application, which has the same calls, refuses it again, and has it noted in the
audit: there is one place that says no.
"""

import asyncio
import time
from collections.abc import Callable, Coroutine, Sequence
from functools import partial
from typing import Any, NamedTuple

import msgspec
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware
from uvicorn.protocols.http.httptools_impl import STATUS_LINE

from flip_hub.actions.service import ActionService
from flip_hub.auth.guards import Access, device_call
from flip_hub.device_request import DeviceRequest
from flip_hub.devices.lives import Call
from flip_hub.hardening import KnownHosts
from flip_hub.observability.requests import HUNG_UP, LONG_POLL, TELEMETRY, Exchange, RequestAccount
from flip_hub.problem import PROBLEM_JSON, Refused, Unauthorized, told
from flip_hub.telemetry.batch import CheckedBatch, read_batch
from flip_hub.telemetry.service import TelemetryService
from flip_runtime.trace import enter_trace, next_trace
from flip_wire.fleet import DeviceId
from flip_wire.version import HEADER

_WIRE = HEADER.lower().encode()
_JSON = b"content-type: application/json\r\n"


class Answer(NamedTuple):
    status_line: bytes
    rest: bytes
    """Headers but those that all answers of the port have, and the body."""


Reply = Callable[[Answer | None], None]
"""Takes the answer, or None: it is for the application to answer."""


class DeviceFront:
    def __init__(
        self,
        access: Access,
        telemetry: TelemetryService,
        actions: ActionService,
        is_prepared: Callable[[], bool],
        *,
        names: Sequence[str],
        proxies: Sequence[str] = (),
        account: RequestAccount,
    ) -> None:
        """`names` and `proxies` as in `[hub]`."""
        self._access = access
        self._telemetry = telemetry
        self._actions = actions
        self._devices = access.devices
        self._is_prepared = is_prepared
        self._hosts = KnownHosts(names)
        self._proxies = ProxyHeadersMiddleware(_nothing, list(proxies)).trusted_hosts if proxies else None
        self._account = account
        self._default: list[tuple[bytes, bytes]] = []
        self._said = b""

    def headers(self, default: list[tuple[bytes, bytes]]) -> bytes:
        """Those that all answers of the port have, of which uvicorn makes a new list each second."""
        if default is not self._default:
            self._default = default
            self._said = b"".join([b"%s: %s\r\n" % header for header in default])
        return self._said

    def gather(self, read: Callable[[], None], size: int) -> None:
        """Calls `read` when batches are written next, which is soon."""
        self._telemetry.bring(read, size)

    def answer(self, request: DeviceRequest, peer: str, came: float, reply: Reply) -> asyncio.Task[None] | None:
        """Calls `reply` once, perhaps before it returns. What is waited for has a task, but heartbeats have none:
        there are most of them. `peer` is the address that the connection comes from, `came` when by `perf_counter`."""
        if not self._is_prepared() or not self._hosts.knows(request.headers.get(b"host", b"")):
            reply(None)
            return None
        trace = next_trace(request.headers.get(b"traceparent", b"").decode("latin-1"))
        if request.poll is not None:
            answering = _Answering(Exchange(self._account, trace, LONG_POLL, came), "GET", LONG_POLL, reply)
            return asyncio.create_task(answering.until(self._poll(request, request.poll, peer)))
        answering = _Answering(Exchange(self._account, trace, TELEMETRY, came), "POST", TELEMETRY, reply)
        try:
            device_id, call = self._caller(request.headers, peer)
            self._telemetry.admit(device_id)
            checked = read_batch(request.body, request.headers.get(b"content-encoding", b"").decode("latin-1"))
            if not checked.heartbeat:
                return asyncio.create_task(answering.until(self._take(device_id, checked, call)))
            written = self._telemetry.submit_heartbeat(device_id, checked, call)
        except Exception as error:  # a bug too is answered, and the next call shall not meet it
            answering.failed(error)
            return None
        written.add_done_callback(partial(self._written, answering, checked))
        return None

    def _written(self, answering: "_Answering", checked: CheckedBatch, written: asyncio.Future[None]) -> None:
        try:
            written.result()
        except Exception as error:  # as in `answer`
            answering.failed(error)
        else:
            answering.done(msgspec.json.encode(self._telemetry.accepted(checked)))

    async def _take(self, device_id: DeviceId, checked: CheckedBatch, call: Call) -> bytes:
        return msgspec.json.encode(await self._telemetry.accept(device_id, checked, call))

    async def _poll(self, request: DeviceRequest, poll: tuple[int, float], peer: str) -> bytes:
        device_id, call = self._caller(request.headers, peer)
        return await self._wait_desired(device_id, call, *poll)

    async def _wait_desired(self, device_id: DeviceId, call: Call, after: int, wait: float) -> bytes:
        """Empty when nothing else is wanted."""
        await self._devices.called(device_id, call)
        await self._devices.seen(device_id)
        await self._actions.held(device_id, after)
        desired = await self._devices.wait_desired(device_id, after, wait)
        return b"" if desired is None else msgspec.json.encode(desired)

    def _caller(self, headers: dict[bytes, bytes], peer: str) -> tuple[DeviceId, Call]:
        scheme, _, token = headers.get(b"authorization", b"").decode("latin-1").partition(" ")
        if scheme.lower() != "bearer":
            raise Unauthorized("this call needs a token")
        forwarded = headers.get(b"x-forwarded-for")
        if self._proxies is not None and forwarded and peer in self._proxies:
            peer = self._proxies.get_trusted_client_address(forwarded.decode("latin-1"))[0]
        wire = headers.get(_WIRE)
        return device_call(self._access, token.strip(), None if wire is None else wire.decode("latin-1"), peer)


class _Answering:
    """One request: what came of it becomes the bytes of an answer, or is left to the application."""

    __slots__ = ("_exchange", "_method", "_reply", "_route")

    def __init__(self, exchange: Exchange, method: str, route: str, reply: Reply) -> None:
        self._exchange = exchange
        self._method = method
        self._route = route
        self._reply = reply

    async def until(self, content: Coroutine[Any, Any, bytes]) -> None:
        enter_trace(self._exchange.trace)
        try:
            self.done(await content)
        except asyncio.CancelledError:
            self._exchange.ended(self._method, self._route, HUNG_UP)
            raise
        except Exception as error:  # as in `answer`
            self.failed(error)

    def done(self, content: bytes) -> None:
        """Without content nothing else is wanted."""
        if content:
            self._give(200, _JSON, content)
        else:
            self._give(304, b"", b"")

    def failed(self, error: Exception) -> None:
        if isinstance(error, Refused):
            self._exchange.left()
            self._reply(None)
            return
        enter_trace(self._exchange.trace)
        problem, given = told(error, self._method, self._route)
        lines = [f"content-type: {PROBLEM_JSON}\r\n", *(f"{name}: {value}\r\n" for name, value in given.items())]
        self._give(problem.status, "".join(lines).encode("latin-1"), msgspec.json.encode(problem))

    def _give(self, status: int, headers: bytes, content: bytes) -> None:
        self._exchange.ended(self._method, self._route, status)
        if content:
            headers += b"content-length: %d\r\n" % len(content)
        traceparent = self._exchange.trace.traceparent().encode()
        said = b"traceresponse: %s\r\nflip-time: %.3f\r\n%s\r\n%s" % (traceparent, time.time(), headers, content)
        self._reply(Answer(STATUS_LINE[status], said))


async def _nothing(*_: object) -> None:
    """In place of the application that uvicorn would wrap; here only its reading of `X-Forwarded-For` is wanted."""
