"""One request at the Control port: what is read of it, and what it is told in the words of Flower's command line."""

import asyncio
from collections.abc import AsyncIterator
from http import HTTPStatus
from typing import Any, NoReturn

import msgspec
from google.protobuf.message import DecodeError, Message
from msgspec import Struct

from flip_hub.federation.control import PROTOBUF, PROTOBUF_STREAM
from flip_hub.federation.control_port.table import CALLS, LARGEST_BODY, PREFIX
from flip_hub.federation.fleet_call import Call, Gone
from flip_hub.federation.upstream import Answer
from flip_hub.mongo import DatabaseDown
from flip_hub.problem import Conflict, Forbidden, NotFound, Refused, Unauthorized, Unprocessable, problem_of
from flip_runtime.errors import Unavailable

BODY_WITHIN = 60.0
"""Seconds."""
_RUN_ID_NOT_FOUND = 16  # of flwr's ApiErrorCode, whose package would bring FastAPI
_RUN_ALREADY_FINISHED = 18
_CODES: dict[type[Refused], int] = {Unauthorized: 36, Forbidden: 9, Unprocessable: 15}


class NoSuchRun(NotFound):
    code = _RUN_ID_NOT_FOUND


class RunHasEnded(Conflict):
    code = _RUN_ALREADY_FINISHED


class Elsewhere(Refused):
    """The hub does not do this by Flower's Control API."""

    status = HTTPStatus.NOT_IMPLEMENTED


class _FlowerProblem(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """As Flower tells errors: its command line prints code, detail and extra, or the detail alone."""

    detail: str
    code: int | None = None
    extra: str | None = None


class ControlCall(Call):
    def __init__(self, scope: Any, receive: Any, send: Any) -> None:
        super().__init__(scope, receive, send)
        self.address: str = scope["client"][0] if scope["client"] else ""
        self.actor = ""
        """Who calls, once that is known."""

    @property
    def action(self) -> str:
        """As the audit names it."""
        name = self.path.removeprefix(PREFIX)
        return f"flwr {name}" if name in CALLS else "flwr (no such call)"

    def name(self) -> str:
        """Of the call; Raises `NotFound` for what is no call at all."""
        if self.verb != "POST" or not self.path.startswith(PREFIX):
            raise NotFound("the Control port has no such call", hint="API and console are on the hub's own port")
        return self.path.removeprefix(PREFIX)

    def bearer(self) -> str:
        """The access token. Raises `Unauthorized`."""
        scheme, _, token = self.headers.get(b"authorization", b"").decode("latin-1").partition(" ")
        if scheme.lower() != "bearer" or not token:
            raise Unauthorized("this hub lets in people with an account", hint="run: flwr login [CONNECTION]")
        return token.strip()

    async def message(self, into: Message, largest: int = LARGEST_BODY) -> None:
        """Reads the body. Raises `Refused`."""
        media_type = self.headers.get(b"content-type", b"").partition(b";")[0].strip().lower()
        if media_type != PROTOBUF.encode():
            raise Refused("the body is not protobuf", hint=f"send Content-Type: {PROTOBUF}")
        try:
            async with asyncio.timeout(BODY_WITHIN):
                into.ParseFromString(await self.whole_body(largest))
        except TimeoutError as error:
            raise Refused(f"the body did not come within {BODY_WITHIN:g} s") from error
        except DecodeError as error:
            raise Refused("the body is not the protobuf message of this call") from error

    async def answer(self, message: Message) -> None:
        headers = {b"content-type": PROTOBUF.encode(), b"cache-control": b"no-store"}
        body = message.SerializeToString()
        headers[b"content-length"] = str(len(body)).encode()
        await self.give(Answer(status=HTTPStatus.OK, headers=headers, body=body))

    async def stream_frames(self, frames: AsyncIterator[bytes]) -> None:
        await self.stream(HTTPStatus.OK, {b"content-type": PROTOBUF_STREAM.encode()}, frames)

    async def hung_up(self) -> NoReturn:
        """Raises `Gone` when the other side has; the body must have been read."""
        while (await self._receive())["type"] != "http.disconnect":
            pass
        raise Gone

    async def refuse(self, error: Exception) -> None:
        problem = problem_of(error)
        headers = {b"content-type": b"application/json"}
        if isinstance(error, Unauthorized):
            headers[b"www-authenticate"] = b"Bearer"  # the command line then renews its session once
        if isinstance(error, Unavailable | DatabaseDown):
            wait = error.retry_after if isinstance(error, Unavailable) else None
            headers[b"retry-after"] = str(max(1, round(wait or 1.0))).encode()
        body = msgspec.json.encode(_flower_problem(error, problem.detail, problem.hint))
        await self.give(Answer(status=problem.status, headers=headers, body=body))


def _flower_problem(error: Exception, detail: str, hint: str) -> _FlowerProblem:
    code = error.code if isinstance(error, NoSuchRun | RunHasEnded) else None
    code = next((number for kind, number in _CODES.items() if isinstance(error, kind)), code)
    if code is None:
        return _FlowerProblem(detail=f"{detail}; {hint}" if hint else detail)
    return _FlowerProblem(code=code, detail=f"{detail};" if hint else detail, extra=hint or None)
