"""A connection that does not get on with its request is told why and ends; the next one is served."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncGenerator

import pytest
import pytest_asyncio
from inference_connections import HEAD, Echo, Hasty, connected, problem, says, serving

pytestmark = pytest.mark.asyncio


@pytest.fixture
def echo() -> Echo:
    return Echo()


@pytest_asyncio.fixture
async def port(echo: Echo) -> AsyncGenerator[int]:
    async with serving(echo) as (_, listener):
        yield listener.getsockname()[1]


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
