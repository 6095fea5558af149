"""One whole answer over HTTP: at once where the connection can (`connection`), else as ASGI has it."""

from typing import Any

import msgspec
from litestar.types import HTTPScope, Send

from flip_agent.inference.problems import (
    PROBLEM_JSON,
    Headers,
    InferenceProblem,
    Refusal,
    encode_headers,
    problem_headers,
    problem_of,
)

WHOLE_ANSWER = "flip.whole_answer"
"""The ASGI extension: a coroutine function that takes status, headers and content."""


async def send_content(
    scope: HTTPScope, send: Send, status: int, kind: bytes, content: bytes, headers: Headers | None = None
) -> None:
    """`headers` in lower case, beside its type and length."""
    start = _headers(kind, content, headers)
    whole: Any = (scope.get("extensions") or {}).get(WHOLE_ANSWER)
    if whole is not None:
        await whole(status, start, content)
        return
    await send({"type": "http.response.start", "status": status, "headers": start})
    await send({"type": "http.response.body", "body": content, "more_body": False})


async def send_problem(scope: HTTPScope, send: Send, answer: InferenceProblem, headers: Headers | None = None) -> None:
    await send_content(scope, send, answer.status, PROBLEM_JSON, msgspec.json.encode(answer), headers)


async def send_refusal(scope: HTTPScope, send: Send, refusal: Refusal) -> None:
    await send_problem(scope, send, problem_of(refusal), encode_headers(problem_headers(refusal)))


def refusal_answer(refusal: Refusal) -> tuple[int, Headers, bytes]:
    """Status, headers and content."""
    content = msgspec.json.encode(problem_of(refusal))
    return refusal.status, _headers(PROBLEM_JSON, content, encode_headers(problem_headers(refusal))), content


def _headers(kind: bytes, content: bytes, more: Headers | None) -> Headers:
    return [(b"content-type", kind), (b"content-length", str(len(content)).encode()), *(more or [])]
