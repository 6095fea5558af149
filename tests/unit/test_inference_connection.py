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

from flip_agent.inference.engine.engine import ClientGone
from flip_agent.inference.http.answer import send_content
from flip_agent.inference.http.connection import Connection
from flip_agent.inference.http.request_body import Bodies

pytestmark = pytest.mark.asyncio

LARGE = 2**24
HEAD = b"POST / HTTP/1.1\r\nHost: localhost\r\n"


class Hasty(Connection):
    whole_within = 0.3
    most = 30
    lost = 0

    def connection_lost(self, exc: Exception | None) -> None:
        Hasty.lost += 1
        super().connection_lost(exc)


class Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Any:
        yield


class Echo:
    """Answers with the length of the body; `/early` without reading it, `/held` when it is let go, `/large`: a lot."""

    def __init__(self) -> None:
        self.begun = 0
        self.go = asyncio.Event()
        self.bodies = Bodies(10**6)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.begun += 1
        if scope["path"] == "/held":
            await self.go.wait()
        if scope["path"] == "/large":
            await send_content(scope, send, 200, b"text/plain", b"x" * LARGE)
            return
        with contextlib.suppress(ClientGone):
            body = b"" if scope["path"] == "/early" else await self.bodies.read(dict(scope["headers"]), receive)
            content = str(len(body)).encode()
            await send_content(scope, send, 200, b"text/plain", content)


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


@contextlib.asynccontextmanager
async def connected(port: int) -> AsyncGenerator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """For twenty seconds."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        async with asyncio.timeout(20):
            yield reader, writer
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


async def says(port: int, content: bytes) -> bytes:
    """All that is answered until the server closes the connection."""
    async with connected(port) as (reader, writer):
        writer.write(content)
        return await reader.read()


def problem(answer: bytes) -> dict[str, Any]:
    head, _, content = answer.partition(b"\r\n\r\n")
    assert b"application/problem+json" in head
    told = json.loads(content)
    assert head.startswith(f"HTTP/1.1 {told['status']} ".encode())
    return told


@pytest.mark.parametrize(
    "begun",
    [
        b"GET / HT",
        HEAD + b"X: ",
        HEAD + b"Content-Length: 10\r\n\r\n12345",
        HEAD + b"Transfer-Encoding: chunked\r\n\r\n5\r\n12345\r\n",
    ],
)
async def test_what_is_not_whole_in_time_is_answered_408(port: int, begun: bytes) -> None:
    assert problem(await says(port, begun))["status"] == 408


async def test_a_slow_trickle_wins_no_time(port: int) -> None:
    async def trickle(writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            while True:
                writer.write(b"x")
                await writer.drain()
                await asyncio.sleep(0.02)

    async with connected(port) as (reader, writer), asyncio.TaskGroup() as group:
        writer.write(HEAD + b"Content-Length: 1000\r\n\r\n")
        slow = group.create_task(trickle(writer))
        assert b" 408 " in await reader.readline()
        slow.cancel()


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
    async with connected(port) as (reader, writer):
        writer.write(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        await reader.readuntil(b"\r\n\r\n0")
        writer.write(head)  # on a connection that has served
        assert problem(await reader.read())["status"] == status


@pytest.mark.parametrize(
    "begun",
    [
        HEAD + b"X: ",
        HEAD + b"Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\nX: ",
        HEAD + b"Transfer-Encoding: chunked\r\n\r\n1;x=",
    ],
)
async def test_headers_and_trailers_without_end_are_not_gathered(port: int, begun: bytes) -> None:
    async with connected(port) as (reader, writer):
        writer.write(begun)
        with contextlib.suppress(ConnectionError):  # it is closed while this is still being sent
            while not reader.at_eof():
                writer.write(b"y" * 2**16)
                await writer.drain()
                await asyncio.sleep(0)
        with contextlib.suppress(ConnectionError):
            answer = await reader.read()
            assert answer == b"" or problem(answer)["status"] == 431


async def test_requests_that_wait_behind_one_another_are_answered_in_turn(port: int) -> None:
    async with connected(port) as (reader, writer):
        writer.write(b"".join(HEAD + b"Content-Length: %d\r\n\r\n" % size + b"x" * size for size in range(10)))
        for size in range(10):
            head = await reader.readuntil(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 200 ")
            assert await reader.readexactly(1) == str(size).encode()


async def test_more_than_may_wait_end_the_connection_after_those_that_may(port: int, echo: Echo) -> None:
    first, others = HEAD.replace(b" / ", b" /held ") + b"\r\n", (HEAD + b"\r\n") * 100
    asked = asyncio.create_task(says(port, first + others))
    while not echo.begun:
        await asyncio.sleep(0.01)
    echo.go.set()
    answer = await asked
    assert answer.count(b"HTTP/1.1 200 OK") == 17
    assert problem(answer[answer.index(b"HTTP/1.1 400") :])["detail"] == "16 requests already wait on this connection"


async def test_more_connections_than_there_may_be_are_told_so_and_the_others_go_on(port: int) -> None:
    async with connected(port) as (reader, writer), contextlib.AsyncExitStack() as others:
        for _ in range(Hasty.most - 1):
            await others.enter_async_context(connected(port))
        told = problem(await says(port, HEAD + b"\r\n"))
        assert (told["status"], told["detail"]) == (429, "30 connections are open")
        writer.write(HEAD + b"\r\n")
        assert b" 200 " in await reader.readline()
    async with connected(port) as (reader, writer):
        writer.write(HEAD + b"\r\n")
        assert b" 200 " in await reader.readline()


async def test_twice_as_many_connections_as_there_may_be_are_not_even_heard(port: int) -> None:
    async with contextlib.AsyncExitStack() as others:
        for _ in range(2 * Hasty.most):
            await others.enter_async_context(connected(port))
        with contextlib.suppress(ConnectionError):
            assert await says(port, HEAD + b"\r\n") == b""


async def test_an_answer_to_head_has_the_headers_alone(port: int) -> None:
    answer = await says(port, b"HEAD / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
    head, _, content = answer.partition(b"\r\n\r\n")
    assert head.split(b"\r\n") == [
        b"HTTP/1.1 200 OK",
        b"content-type: text/plain",
        b"content-length: 1",
        b"connection: close",
    ]
    assert content == b""


async def test_a_body_is_asked_for_where_the_client_waits_to_be_asked(port: int) -> None:
    async with connected(port) as (reader, writer):
        writer.write(HEAD + b"Content-Length: 3\r\nExpect: 100-continue\r\n\r\n")
        assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        writer.write(b"abc")
        assert (await reader.readuntil(b"\r\n\r\n3")).startswith(b"HTTP/1.1 200 ")


async def test_a_body_that_nobody_takes_is_not_gathered_and_is_whole_in_the_end(port: int, echo: Echo) -> None:
    async with connected(port) as (reader, writer):
        writer.write(HEAD.replace(b" / ", b" /held ") + b"Content-Length: 1000000\r\n\r\n" + b"x" * 10**6)
        while not echo.begun:
            await asyncio.sleep(0.01)
        echo.go.set()
        assert (await reader.readuntil(b"\r\n\r\n1000000")).startswith(b"HTTP/1.1 200 ")


async def test_a_body_in_the_smallest_chunks_is_read_and_so_is_what_follows_its_trailers(port: int) -> None:
    chunks = b"1\r\nx\r\n" * 20_000
    async with connected(port) as (reader, writer):
        for _ in range(2):
            writer.write(HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + chunks + b"0\r\nX: y\r\n\r\n")
            assert (await reader.readuntil(b"\r\n\r\n20000")).startswith(b"HTTP/1.1 200 ")


async def test_a_body_that_is_not_wanted_is_read_away_before_the_next_request(port: int) -> None:
    async with connected(port) as (reader, writer):
        writer.write(HEAD.replace(b" / ", b" /early ") + b"Content-Length: 1000000\r\n\r\n" + b"x" * 10**6)
        await reader.readuntil(b"\r\n\r\n0")
        writer.write(HEAD + b"Content-Length: 2\r\n\r\nab")
        assert (await reader.readuntil(b"\r\n\r\n2")).startswith(b"HTTP/1.1 200 ")


async def test_a_client_that_does_not_read_holds_up_nobody_but_itself(port: int, echo: Echo) -> None:
    request = HEAD.replace(b" / ", b" /large ") + b"\r\n"
    async with connected(port) as (reader, writer):
        writer.write(request * 3)
        assert await says(port, HEAD + b"Connection: close\r\n\r\n")
        for _ in range(3):
            await reader.readuntil(b"\r\n\r\n")
            await reader.readexactly(LARGE)
    async with connected(port) as (_, writer):
        writer.write(request * 3)  # and leaves
    assert await says(port, HEAD + b"Connection: close\r\n\r\n")


@pytest.mark.parametrize(
    "last",
    [
        b"GET / HTTP/1.0\r\nHost: a\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
    ],
)
async def test_the_last_request_of_a_connection_is_answered_before_it_ends(port: int, last: bytes) -> None:
    answer = await says(port, HEAD + b"Content-Length: 2\r\n\r\nab" + last + HEAD + b"\r\n")
    assert answer.count(b"HTTP/1.1 200 OK") == 2
    assert answer.endswith(b"connection: close\r\n\r\n0")


@pytest.mark.parametrize(
    "framing", [b"Content-Length: 3\r\n\r\nabc", b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"]
)
@pytest.mark.parametrize("to", [b"h2c\r\nHTTP2-Settings: AA", b"websocket"])
async def test_a_request_to_upgrade_is_answered_as_if_it_were_none(port: int, to: bytes, framing: bytes) -> None:
    async with connected(port) as (reader, writer):
        for cut in (1, 40, 90, len(HEAD) + 60):
            request = HEAD + b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: " + to + b"\r\n" + framing
            writer.write(request[:cut])
            await asyncio.sleep(0.01)
            writer.write(request[cut:])
            assert (await reader.readuntil(b"\r\n\r\n3")).startswith(b"HTTP/1.1 200 ")


async def test_what_is_wrong_is_told_after_the_answers_that_are_due(port: int) -> None:
    answer = await says(port, (HEAD + b"Content-Length: 1\r\n\r\na") * 2 + b"GARBAGE\r\n\r\n")
    assert answer.count(b"HTTP/1.1 200 OK") == 2
    assert problem(answer[answer.index(b"HTTP/1.1 400") :])["detail"] == "this is no HTTP request"


async def test_a_client_that_takes_nothing_of_its_answer_is_let_go(port: int) -> None:
    lost = Hasty.lost
    with socket.socket() as deaf:
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        deaf.connect(("127.0.0.1", port))
        deaf.sendall(HEAD.replace(b" / ", b" /large ") + b"\r\n")
        async with asyncio.timeout(20):
            while Hasty.lost == lost:
                await asyncio.sleep(0.05)


async def test_an_early_answer_is_seen_by_a_client_that_is_still_sending(port: int) -> None:
    request = HEAD.replace(b" / ", b" /early ") + b"Connection: close\r\nContent-Length: 5000000\r\n\r\n"
    async with connected(port) as (reader, writer):
        writer.write(request + b"x" * 2 * 10**6)
        await asyncio.sleep(0)
        assert (await reader.read()).endswith(b"\r\n\r\n0")


async def test_what_was_asked_before_the_end_of_the_server_is_answered(echo: Echo) -> None:
    config: Any = uvicorn.Config(echo, http=Hasty, ws="none", lifespan="off", log_config=None, log_level="error")
    server = Server(config)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        async with asyncio.TaskGroup() as group:
            group.create_task(server.serve(sockets=[listener]))
            asked = group.create_task(says(port, HEAD.replace(b" / ", b" /held ") + b"\r\n"))
            while not echo.begun:
                await asyncio.sleep(0.01)
            server.should_exit = True
            while listener.fileno() != -1 and server.servers and server.servers[0].is_serving():
                await asyncio.sleep(0.01)
            echo.go.set()
    assert b"connection: close\r\n" in asked.result()
    assert asked.result().endswith(b"\r\n\r\n0")
