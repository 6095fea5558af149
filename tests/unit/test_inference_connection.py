"""A connection that does not get on with its request is told why and ends; the next one is served."""

import asyncio
import contextlib
import json
import socket
from collections.abc import AsyncGenerator
from typing import Any

import pytest
import pytest_asyncio
import uvicorn

from flip_agent.inference.connection import Connection
from flip_agent.inference.engine import ClientGone
from flip_agent.inference.request_body import read_body

pytestmark = pytest.mark.asyncio

HEAD = b"POST / HTTP/1.1\r\nHost: localhost\r\n"


class Hasty(Connection):
    whole_within = 0.3


class Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Any:
        yield


class Echo:
    """Answers with the length of the body; `/early` without reading it, `/held` when it is let go."""

    def __init__(self) -> None:
        self.begun = 0
        self.go = asyncio.Event()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.begun += 1
        if scope["path"] == "/held":
            await self.go.wait()
        with contextlib.suppress(ClientGone):
            body = b"" if scope["path"] == "/early" else await read_body(dict(scope["headers"]), receive, 10**6)
            content = str(len(body)).encode()
            headers = [(b"content-length", str(len(content)).encode())]
            await send({"type": "http.response.start", "status": 200, "headers": headers})
            await send({"type": "http.response.body", "body": content, "more_body": False})


@pytest.fixture
def echo() -> Echo:
    return Echo()


@pytest_asyncio.fixture
async def port(echo: Echo) -> AsyncGenerator[int]:
    """Of a server whose connections have 0.3 s for a request."""
    config: Any = uvicorn.Config(echo, http=Hasty, ws="none", lifespan="off", log_config=None, log_level="error")
    server = Server(config)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        async with asyncio.TaskGroup() as group:
            serving = group.create_task(server.serve(sockets=[listener]))
            yield listener.getsockname()[1]
            server.should_exit = True
            await serving


async def says(port: int, *packets: bytes) -> bytes:
    """All that is answered to these packets, until the server closes the connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        for packet in packets:
            writer.write(packet)
            await writer.drain()
            await asyncio.sleep(0)
        async with asyncio.timeout(20):
            return await reader.read()
    finally:
        writer.close()


def problem(answer: bytes) -> dict[str, Any]:
    head, _, content = answer.partition(b"\r\n\r\n")
    assert b"application/problem+json" in head
    told = json.loads(content)
    assert head.startswith(f"HTTP/1.1 {told['status']} ".encode())
    return told


@pytest.mark.parametrize(
    "packets",
    [
        (b"GET / HT",),
        (HEAD + b"X: ",),
        (HEAD + b"Content-Length: 10\r\n\r\n12345",),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\n5\r\n12345\r\n",),
    ],
)
async def test_what_is_not_whole_in_time_is_answered_408(port: int, packets: tuple[bytes, ...]) -> None:
    assert problem(await says(port, *packets))["status"] == 408


async def test_a_slow_trickle_wins_no_time(port: int) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(HEAD + b"Content-Length: 1000\r\n\r\n")

    async def trickle() -> None:
        with contextlib.suppress(ConnectionError):
            while True:
                writer.write(b"x")
                await writer.drain()
                await asyncio.sleep(0.02)

    async with asyncio.timeout(20), asyncio.TaskGroup() as group:
        slow = group.create_task(trickle())
        assert b" 408 " in await reader.readline()
        slow.cancel()
    writer.close()


async def test_a_body_that_goes_on_after_the_answer_ends_with_the_connection(port: int) -> None:
    answer = await says(port, HEAD.replace(b" / ", b" /early ") + b"Content-Length: 2000\r\n\r\n" + b"x" * 1000)
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert answer.endswith(b"\r\n\r\n0")


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (b"\x16\x03\x01\x02\x00\x01\x00", 400),
        (b"GET\r\n\r\n", 400),
        (HEAD + b"Content-Length: -1\r\n\r\n", 400),
        (HEAD + b"Content-Length: 99999999999999999999999\r\n\r\n", 400),
        (HEAD + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\n", 400),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n", 400),
        (b"CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        (b"GET /\xff HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        (HEAD + b"X: y\r\n" * 200 + b"\r\n", 431),
    ],
)
async def test_what_is_no_request_is_a_problem_too(port: int, head: bytes, status: int) -> None:
    assert problem(await says(port, head))["status"] == status
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    async with asyncio.timeout(20):
        await reader.readuntil(b"\r\n\r\n0")
        writer.write(head)  # on a connection that has served
        assert problem(await reader.read())["status"] == status
    writer.close()


async def test_headers_without_end_are_not_gathered(port: int) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(HEAD + b"X: ")
    await writer.drain()
    with contextlib.suppress(ConnectionError):
        for _ in range(40):
            writer.write(b"y" * 2**16)
            await writer.drain()
    with contextlib.suppress(ConnectionError):
        async with asyncio.timeout(20):
            answer = await reader.read()
        assert answer == b"" or problem(answer)["status"] == 431
    writer.close()


async def test_requests_that_wait_behind_one_another_are_answered_in_turn(port: int) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"".join(HEAD + b"Content-Length: %d\r\n\r\n" % size + b"x" * size for size in range(10)))
    async with asyncio.timeout(20):
        for size in range(10):
            head = await reader.readuntil(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 200 ")
            assert await reader.readexactly(1) == str(size).encode()
    writer.close()


async def test_more_than_may_wait_end_the_connection(port: int, echo: Echo) -> None:
    first, others = HEAD.replace(b" / ", b" /held ") + b"\r\n", (HEAD + b"\r\n") * 100
    assert await says(port, first + others) == b""
    assert echo.begun == 1
    echo.go.set()
    assert b" 408 " in await says(port, HEAD)  # the next one is heard
