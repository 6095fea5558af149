"""What a request meets first answers whatever goes wrong behind it."""

import logging
from typing import Any

import msgspec
import pytest

from flip_agent.inference.http.admission import Admission
from flip_agent.inference.http.front import Front

pytestmark = pytest.mark.asyncio


class Broken:
    """Takes no request for inference, and fails at every other."""

    async def takes(self, *_: object) -> bool:
        return False

    async def __call__(self, *_: object) -> None:
        raise RuntimeError("no such file /var/lib/flip/models/blobs/abc")


async def test_a_bug_is_a_problem_that_tells_nothing_and_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    broken: Any = Broken()
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    scope: Any = {"type": "http", "method": "GET", "path": "/v2", "headers": [(b"host", b"localhost")]}
    with caplog.at_level(logging.ERROR):
        await Front(Admission(), broken, broken)(scope, broken, send)
    start, body = sent
    told = msgspec.json.decode(body["body"])
    assert (start["status"], told["status"]) == (500, 500)
    assert (b"content-type", b"application/problem+json") in start["headers"]
    assert "flip" not in body["body"].decode()
    assert told["error"].startswith(told["detail"])
    assert "RuntimeError: no such file /var/lib" in caplog.text
