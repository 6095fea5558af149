"""Every error that leaves the hub is a problem detail (RFC 9457) with a hint, and never a traceback or a path.

Services raise `FlipError`s; the refusals below carry the status that HTTP gives them.
"""

import logging
from http import HTTPStatus
from typing import Any

import msgspec
from litestar import Request, Response
from litestar.exceptions import HTTPException
from litestar.types import ExceptionHandlersMap

from flip_hub.mongo import DatabaseDown
from flip_runtime.errors import FlipError, Rejected, Unavailable
from flip_runtime.trace import current_trace_id
from flip_wire.problem import Problem

log = logging.getLogger(__name__)

PROBLEM_JSON = "application/problem+json"
_TITLES = {460: "Checksum Mismatch"}  # of the tus protocol
RETRY_AFTER = 2.0
"""Seconds, when whoever is away did not say."""


class Refused(Rejected):
    """The request cannot be served as it is."""

    status: int = HTTPStatus.BAD_REQUEST


class Unauthorized(Refused):
    """Who calls is not known."""

    status = HTTPStatus.UNAUTHORIZED


class Forbidden(Refused):
    """Who calls is known, and may not."""

    status = HTTPStatus.FORBIDDEN


class NotFound(Refused):
    status = HTTPStatus.NOT_FOUND


class Conflict(Refused):
    """What is there already stands against it."""

    status = HTTPStatus.CONFLICT


class TooLarge(Refused):
    status = HTTPStatus.REQUEST_ENTITY_TOO_LARGE


class PreconditionFailed(Refused):
    """The caller speaks another version of a protocol."""

    status = HTTPStatus.PRECONDITION_FAILED


class UnsupportedMediaType(Refused):
    status = HTTPStatus.UNSUPPORTED_MEDIA_TYPE


class Locked(Refused):
    """Somebody else is at it now."""

    status = HTTPStatus.LOCKED


class Unprocessable(Refused):
    """Understood, but its content is wrong."""

    status = HTTPStatus.UNPROCESSABLE_ENTITY


class TooMany(Unavailable):
    """The caller must slow down; `retry_after` says by how much."""

    status = HTTPStatus.TOO_MANY_REQUESTS


def problem_of(error: Exception) -> Problem:
    """What the caller is told. Anything that is not an error of ours or of HTTP is a bug, and told nothing about."""
    match error:
        case Refused() | TooMany():
            return _problem(error.status, error.args[0], error.hint)
        case Unavailable():
            return _problem(HTTPStatus.SERVICE_UNAVAILABLE, error.args[0], error.hint)
        case Rejected():
            return _problem(HTTPStatus.BAD_REQUEST, error.args[0], error.hint)
        case DatabaseDown():
            return _problem(HTTPStatus.SERVICE_UNAVAILABLE, "the registry is not reachable", "try again in a moment")
        case HTTPException() if error.status_code < HTTPStatus.INTERNAL_SERVER_ERROR:
            return _problem(error.status_code, _detail(error), _hint(error.status_code))
        case UnicodeDecodeError():
            return _problem(HTTPStatus.BAD_REQUEST, "the request is not UTF-8", "")
        case _:
            return _problem(HTTPStatus.INTERNAL_SERVER_ERROR, "the hub made a mistake", "the hub's log says more")


def answer_error(request: Request[Any, Any, Any], error: Exception) -> Response[Problem]:
    """Turns whatever a handler raised into its answer."""
    return problem_response(*told(error, request.method, request.url.path))


def told(error: Exception, method: str, path: str) -> tuple[Problem, dict[str, str]]:
    """What the caller of that call is told, and the headers of the answer; bugs are logged."""
    problem = problem_of(error)
    if problem.status == HTTPStatus.INTERNAL_SERVER_ERROR:
        log.error("request failed", exc_info=error, extra={"method": method, "path": path})
    return problem, _headers(error, problem)


def problem_response(problem: Problem, headers: dict[str, str] | None = None) -> Response[Problem]:
    return Response(problem, status_code=problem.status, media_type=PROBLEM_JSON, headers=headers)


ERROR_MAP: ExceptionHandlersMap = {Exception: answer_error, HTTPException: answer_error, FlipError: answer_error}


def title_of(status: int) -> str:
    return _TITLES.get(status) or HTTPStatus(status).phrase


def _problem(status: int, detail: str, hint: str) -> Problem:
    return Problem(title=title_of(status), status=int(status), detail=detail, hint=hint, trace_id=current_trace_id())


def _headers(error: Exception, problem: Problem) -> dict[str, str]:
    headers: dict[str, str] = {}
    if problem.status in (HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.TOO_MANY_REQUESTS):
        wait = error.retry_after if isinstance(error, Unavailable) and error.retry_after else RETRY_AFTER
        headers["Retry-After"] = str(max(1, round(wait)))
    if problem.status == HTTPStatus.UNAUTHORIZED:
        headers["WWW-Authenticate"] = "Bearer"
    if isinstance(error, HTTPException) and "Allow" in (error.headers or {}):
        headers["Allow"] = (error.headers or {})["Allow"]
    return headers


class _FieldError(msgspec.Struct, frozen=True):
    """One entry of what Litestar says about a validation failure."""

    message: str
    key: str = ""


def _detail(error: HTTPException) -> str:
    """Names the fields that are wrong."""
    try:
        fields = msgspec.convert(error.extra or [], list[_FieldError])
    except msgspec.ValidationError:
        fields = []
    if fields:
        return "; ".join(f"{field.key}: {field.message}" if field.key else field.message for field in fields)
    return _PLAIN.get(error.status_code, error.detail)


_PLAIN = {
    int(HTTPStatus.NOT_FOUND): "there is no such call",
    int(HTTPStatus.METHOD_NOT_ALLOWED): "this call is made with another method",
}
"""Litestar only repeats the title."""


def _hint(status: int) -> str:
    return {
        HTTPStatus.NOT_FOUND: "GET /api/docs lists the calls",
        HTTPStatus.METHOD_NOT_ALLOWED: "GET /api/docs lists the calls",
        HTTPStatus.BAD_REQUEST: "GET /api/docs describes what each call takes",
    }.get(HTTPStatus(status), "")
