"""The two calls that devices make all the time, telemetry and the long poll, without the framework.

They are most of what a hub does: ten thousand devices make a thousand of them a second. What goes well is answered
here. What is refused is left to the application, which has the same calls, refuses it again, and has it noted in the
audit: there is one place that says no.
"""

import time
from collections.abc import Callable, Sequence
from http import HTTPStatus
from typing import NamedTuple

import msgspec
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware
from uvicorn.protocols.http.httptools_impl import STATUS_LINE

from flip_hub.actions.service import ActionService
from flip_hub.auth.guards import Access, device_call
from flip_hub.device_request import DeviceRequest
from flip_hub.devices.lives import Call
from flip_hub.hardening import KnownHosts
from flip_hub.observability.requests import LONG_POLL, TELEMETRY, RequestAccount
from flip_hub.problem import PROBLEM_JSON, Refused, Unauthorized, told
from flip_hub.telemetry.batch import read_batch
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

    async def answer(self, request: DeviceRequest, peer: str) -> Answer | None:
        """None: it is for the application to answer. `peer` is the address that the connection comes from."""
        if not self._is_prepared() or not self._hosts.knows(request.headers.get(b"host", b"")):
            return None
        trace = next_trace(request.headers.get(b"traceparent", b"").decode("latin-1"))
        method, route = ("POST", TELEMETRY) if request.poll is None else ("GET", LONG_POLL)
        started, clock = time.time(), time.perf_counter()
        with self._account.under_way(route):
            enter_trace(trace := self._account.decided(trace))
            try:
                status, headers, content = await self._answered(request, peer, method, route)
            except Refused:
                return None
        self._account.ended(trace, method, route, status, started, time.perf_counter() - clock)
        if status != HTTPStatus.NOT_MODIFIED:
            headers += b"content-length: %d\r\n" % len(content)
        said = b"traceresponse: %s\r\nflip-time: %.3f\r\n" % (trace.traceparent().encode(), time.time())
        return Answer(STATUS_LINE[status], b"%s%s\r\n%s" % (said, headers, content))

    async def _answered(self, request: DeviceRequest, peer: str, method: str, route: str) -> tuple[int, bytes, bytes]:
        """Status, headers and body. Raises `Refused`."""
        try:
            device_id, call = self._caller(request.headers, peer)
            if request.poll is None:
                return 200, _JSON, await self._take_batch(device_id, call, request)
            content = await self._wait_desired(device_id, call, *request.poll)
            return (200 if content else 304), _JSON, content
        except Refused:
            raise
        except Exception as error:  # a bug too is answered, and the next call shall not meet it
            problem, given = told(error, method, route)
            lines = [f"content-type: {PROBLEM_JSON}\r\n", *(f"{name}: {value}\r\n" for name, value in given.items())]
            return problem.status, "".join(lines).encode("latin-1"), msgspec.json.encode(problem)

    async def _take_batch(self, device_id: DeviceId, call: Call, request: DeviceRequest) -> bytes:
        self._telemetry.admit(device_id)
        checked = read_batch(request.body, request.headers.get(b"content-encoding", b"").decode("latin-1"))
        return msgspec.json.encode(await self._telemetry.accept(device_id, checked, call))

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


async def _nothing(*_: object) -> None:
    """In place of the application that uvicorn would wrap; here only its reading of `X-Forwarded-For` is wanted."""
