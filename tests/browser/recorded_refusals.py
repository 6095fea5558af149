"""What the recorded hub answers when it refuses: problem details, as the real one does."""

from typing import Any

from litestar import Request, Response
from litestar.exceptions import HTTPException
from litestar.types import ExceptionHandlersMap

from flip_wire.problem import Problem


class Refused(Exception):
    def __init__(self, status: int, title: str, detail: str, hint: str = "") -> None:
        super().__init__(detail)
        self.problem = Problem(title=title, status=status, detail=detail, hint=hint)


def _refused(_: Request[Any, Any, Any], error: Refused) -> Response[Problem]:
    return Response(error.problem, status_code=error.problem.status, media_type="application/problem+json")


def _other(_: Request[Any, Any, Any], error: HTTPException) -> Response[Problem]:
    problem = Problem(title="Refused", status=error.status_code, detail=error.detail)
    return Response(problem, status_code=problem.status, media_type="application/problem+json")


REFUSALS: ExceptionHandlersMap = {Refused: _refused, HTTPException: _other}
