"""Every refusal of the inference server, as problem details (RFC 9457). None names a path or quotes a traceback."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import ClassVar

from flip_runtime.errors import FlipError
from flip_wire.problem import Problem

Headers = list[tuple[bytes, bytes]]

PROBLEM_JSON = b"application/problem+json"


class Refusal(FlipError):
    """The request is wrong as it is: answered 400."""

    status: ClassVar[int] = HTTPStatus.BAD_REQUEST
    retry_after: ClassVar[int] = 0
    """Seconds; 0 where trying again does not help."""


class Uncomputable(Refusal):
    """The inputs are what the model asks for, and yet its graph has no outputs for them."""


class Foreign(Refusal):
    """Made by a web page or under a name that is not this device's."""

    status = HTTPStatus.FORBIDDEN


class NoToken(Refusal):
    """Comes without the token that this device asks for, or with another."""

    status = HTTPStatus.UNAUTHORIZED


class Unknown(Refusal):
    """No such model, version or route."""

    status = HTTPStatus.NOT_FOUND


class TooLarge(Refusal):
    status = HTTPStatus.REQUEST_ENTITY_TOO_LARGE


class TooSlow(Refusal):
    """The request did not arrive in time."""

    status = HTTPStatus.REQUEST_TIMEOUT


class HeadTooLarge(Refusal):
    """Its address and headers."""

    status = HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE


class Unsupported(Refusal):
    """Packed in a way that is not known here."""

    status = HTTPStatus.UNSUPPORTED_MEDIA_TYPE


class QueueFull(Refusal):
    status = HTTPStatus.TOO_MANY_REQUESTS
    retry_after = 1  # a full queue of quick forwards drains in far less


class NotReady(Refusal):
    """No model is there to answer, yet."""

    status = HTTPStatus.SERVICE_UNAVAILABLE
    retry_after = 1


class Unloaded(Unknown):
    """The model was unloaded by a call; it waits to be loaded by one."""


class Expired(Refusal):
    """Its deadline passed while it waited; it was never computed."""

    status = HTTPStatus.GATEWAY_TIMEOUT


class InferenceProblem(Problem, frozen=True, kw_only=True):
    """`application/problem+json`, which is an error of the Open Inference Protocol too."""

    error: str
    """Detail and hint in one, as the protocol's clients show it."""


def problem_headers(refusal: Refusal) -> dict[str, str]:
    """Names in lower case."""
    match refusal:
        case NoToken():
            return {"www-authenticate": "Bearer"}
        case Unsupported():
            return {"accept-encoding": "gzip, deflate"}
        case _:
            return {"retry-after": str(refusal.retry_after)} if refusal.retry_after else {}


def problem(status: int, detail: str, hint: str = "") -> InferenceProblem:
    error = f"{detail} ({hint})" if hint else detail
    return InferenceProblem(title=HTTPStatus(status).phrase, status=status, detail=detail, hint=hint, error=error)


def problem_of(refusal: Refusal) -> InferenceProblem:
    return problem(refusal.status, str(refusal.args[0]), refusal.hint)


def bug() -> InferenceProblem:
    """What is told of a fault of this program; its log has the rest."""
    return problem(HTTPStatus.INTERNAL_SERVER_ERROR, "a fault of this server", hint="its log says more")


def encode_headers(headers: Mapping[str, str]) -> Headers:
    return [(name.encode(), value.encode()) for name, value in headers.items()]
