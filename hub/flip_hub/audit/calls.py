"""The one place where calls of the API are noted: what changed something, before its answer goes out, and refusals.

It is wrapped around every route. Only what the caller has proven, what the call is named and what the answer says is
kept; never a body, a header, a query or an address that was called. Where the registry is away after the change, the
caller is told so (503): the change is made, and its entry is owed.
"""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

import msgspec
from litestar.types import ASGIApp, Message, Receive, Scope, Send
from msgspec import Struct

from flip_hub.audit.changes import Change, gathered, told
from flip_hub.audit.service import Audit
from flip_hub.mongo import DatabaseDown
from flip_hub.problem import PROBLEM_JSON, RETRY_AFTER, problem_of
from flip_wire.problem import Problem

CHANGING = frozenset({"POST", "PUT", "PATCH", "DELETE"})
MACHINES = ("/api/v1/device/", "/internal/")
"""What they do is in the registry itself; only their refusals are noted."""
ROUTINE = (("POST", "/api/v1/auth/refresh"), ("PATCH", "/api/v1/uploads/"))
"""A session that goes on, or the next part of an upload, changes nothing that anybody would look for."""
TELLING = frozenset({400, 401, 403, 409, 422})
"""Refusals of calls that only read; of the others every one is noted."""
_CLOSED = 4000
"""What close codes of WebSockets add to HTTP's statuses."""
_LARGEST = 64 * 2**10
"""Bytes of an answer that is looked into for what was made."""


class AuditedCalls:
    def __init__(self, app: ASGIApp, audit: Audit) -> None:
        self._app = app
        self._audit = audit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, _Socket(scope, send, self._audit))
            return
        with gathered() as changes:
            await self._app(scope, receive, _Answer(scope, send, self._audit, changes))


class _Answer:
    """Holds the beginning of an answer back until its first part is there, and the call is noted."""

    def __init__(self, scope: Any, send: Send, audit: Audit, changes: list[Change]) -> None:
        self._call = _Call(scope)
        self._send = send
        self._audit = audit
        self._changes = changes
        self._start: Any = None

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start" and self._call.is_noted(message["status"], message["headers"]):
            self._start = message
        elif self._start is None:
            await self._send(message)
        else:
            start, self._start = self._start, None
            await self._finish(start, message)

    async def _finish(self, start: Any, body: Any) -> None:
        status, content = start["status"], body.get("body", b"")
        if status >= 400:
            self._call.refuse(self._audit, f"{status} {_problem(content).detail}")
        else:
            try:
                await self._call.note(self._audit, content, str(status), told(self._changes))
            except DatabaseDown as error:
                start, body = _unavailable(error)
        await self._send(start)
        await self._send(body)


class _Socket:
    """A WebSocket is refused, at its first message or a later one, by the code that it is closed with."""

    def __init__(self, scope: Any, send: Send, audit: Audit) -> None:
        self._call = _Call(scope)
        self._send = send
        self._audit = audit

    async def __call__(self, message: Any) -> None:
        if message["type"] == "websocket.close":
            status = message.get("code", 1000) - _CLOSED
            if status in TELLING:
                self._call.refuse(self._audit, f"{status} {message.get('reason') or ''}")
        await self._send(message)


class _Call:
    """What of a call may be told. Who made it is known once it was answered."""

    def __init__(self, scope: Any) -> None:
        self._scope = scope
        self._method: str = scope.get("method", "WEBSOCKET")

    def is_noted(self, status: int, headers: Any) -> bool:
        changing = self._method in CHANGING
        if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            return False
        if status >= HTTPStatus.BAD_REQUEST:
            return changing or status in TELLING
        again = any(name.lower() == b"idempotency-replayed" for name, _ in headers)
        return changing and not again and not self._is_routine()

    def _is_routine(self) -> bool:
        path: str = self._scope["path"]
        routine = any(self._method == method and path.startswith(prefix) for method, prefix in ROUTINE)
        return routine or path.startswith(MACHINES)

    async def note(self, audit: Audit, answer: bytes, detail: str, changes: str) -> None:
        subject = self._subject or _made(answer)
        await audit.note(
            self._action, actor=self._actor, subject=subject, detail=detail, address=self._address, changes=changes
        )

    def refuse(self, audit: Audit, detail: str) -> None:
        audit.refuse(
            self._action, actor=self._actor, subject=self._subject, detail=detail.strip(), address=self._address
        )

    @property
    def _action(self) -> str:
        return f"{self._method} {self._scope.get('path_template') or '(no such call)'}"

    @property
    def _subject(self) -> str:
        return "/".join(str(value) for value in self._scope.get("path_params", {}).values())

    @property
    def _actor(self) -> str:
        state: Mapping[str, Any] = self._scope.get("state", {})
        me, device = state.get("me"), state.get("device_id")
        return me.username if me is not None else str(device or "")

    @property
    def _address(self) -> str:
        client = self._scope.get("client")
        return "" if client is None else str(client[0])


class _Made(Struct, frozen=True):
    """What most answers name the thing by that they are about."""

    id: str = ""
    fab_hash: str = ""
    username: str = ""
    name: str = ""


def _made(content: bytes) -> str:
    try:
        made = msgspec.json.decode(content if len(content) <= _LARGEST else b"{}", type=_Made)
    except msgspec.DecodeError:
        return ""
    return made.id or made.fab_hash or made.username or made.name


def _problem(content: bytes) -> Problem:
    try:
        return msgspec.json.decode(content, type=Problem)
    except msgspec.DecodeError:
        return Problem(title="", status=0, detail="", hint="")


def _unavailable(error: DatabaseDown) -> tuple[Any, Any]:
    problem = problem_of(error)
    content = msgspec.json.encode(problem)
    headers = {
        "content-type": PROBLEM_JSON,
        "content-length": str(len(content)),
        "retry-after": f"{RETRY_AFTER:.0f}",
    }
    encoded = [(name.encode(), value.encode()) for name, value in headers.items()]
    return (
        {"type": "http.response.start", "status": problem.status, "headers": encoded},
        {"type": "http.response.body", "body": content, "more_body": False},
    )
