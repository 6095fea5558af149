"""Every refusal of the inference server, as problem details (RFC 9457). None names a path or quotes a traceback."""

from http import HTTPStatus
from typing import ClassVar

import msgspec
from litestar.types import Send

from flip_runtime.errors import FlipError
from flip_wire.problem import Problem

Headers = list[tuple[bytes, bytes]]


class Refusal(FlipError):
    """The request is wrong as it is: answered 400."""

    status: ClassVar[int] = HTTPStatus.BAD_REQUEST
    retry_after: ClassVar[int] = 0
    """Seconds; 0 where trying again does not help."""


class Uncomputable(Refusal):
    """The inputs are what the model asks for, and yet its graph has no outputs for them."""


class Foreign(Refusal):
    """Made by a web page or under a name that is not this device's loopback."""

    status = HTTPStatus.FORBIDDEN


class Unknown(Refusal):
    """No such model, version or route."""

    status = HTTPStatus.NOT_FOUND


class TooLarge(Refusal):
    status = HTTPStatus.REQUEST_ENTITY_TOO_LARGE


class TooSlow(Refusal):
    """The body did not arrive in time."""

    status = HTTPStatus.REQUEST_TIMEOUT


class QueueFull(Refusal):
    status = HTTPStatus.TOO_MANY_REQUESTS
    retry_after = 1  # a full queue of quick forwards drains in far less


class NotReady(Refusal):
    """No model is there to answer, yet."""

    status = HTTPStatus.SERVICE_UNAVAILABLE
    retry_after = 1


class Unloaded(Refusal):
    """The model was unloaded by a call; it waits to be loaded by one."""

    status = HTTPStatus.SERVICE_UNAVAILABLE


class Expired(Refusal):
    """Its deadline passed while it waited; it was never computed."""

    status = HTTPStatus.GATEWAY_TIMEOUT


def problem_headers(refusal: Refusal) -> dict[str, str]:
    return {"retry-after": str(refusal.retry_after)} if refusal.retry_after else {}


def problem(status: int, detail: str, hint: str = "") -> Problem:
    return Problem(title=HTTPStatus(status).phrase, status=status, detail=detail, hint=hint)


def problem_of(refusal: Refusal) -> Problem:
    return problem(refusal.status, str(refusal.args[0]), refusal.hint)


async def send_problem(send: Send, refusal: Refusal) -> None:
    headers = [(name.encode(), value.encode()) for name, value in problem_headers(refusal).items()]
    content = msgspec.json.encode(problem_of(refusal))
    await send_content(send, refusal.status, b"application/problem+json", content, headers)


async def send_content(
    send: Send, status: int, kind: bytes, content: bytes, headers: list[tuple[bytes, bytes]] | None = None
) -> None:
    """Sends one whole response."""
    start = [(b"content-type", kind), (b"content-length", str(len(content)).encode()), *(headers or [])]
    await send({"type": "http.response.start", "status": status, "headers": start})
    await send({"type": "http.response.body", "body": content, "more_body": False})
