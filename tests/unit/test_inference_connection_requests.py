"""The requests of a connection are answered in turn and whole, in whatever pieces they come, up to the last one."""

import asyncio
from collections.abc import AsyncGenerator

import pytest
import pytest_asyncio
from inference_connections import HEAD, LARGE, Echo, connected, says, serving

pytestmark = pytest.mark.asyncio


@pytest.fixture
def echo() -> Echo:
    return Echo()


@pytest_asyncio.fixture
async def port(echo: Echo) -> AsyncGenerator[int]:
    async with serving(echo) as (_, listener):
        yield listener.getsockname()[1]


async def test_requests_that_wait_behind_one_another_are_answered_in_turn(port: int) -> None:
    async with connected(port) as (reader, writer):
        writer.write(b"".join(HEAD + b"Content-Length: %d\r\n\r\n" % size + b"x" * size for size in range(10)))
        for size in range(10):
            head = await reader.readuntil(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 200 ")
            assert await reader.readexactly(1) == str(size).encode()


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


async def test_an_early_answer_is_seen_by_a_client_that_is_still_sending(port: int) -> None:
    request = HEAD.replace(b" / ", b" /early ") + b"Connection: close\r\nContent-Length: 5000000\r\n\r\n"
    async with connected(port) as (reader, writer):
        writer.write(request + b"x" * 2 * 10**6)
        await asyncio.sleep(0)
        assert (await reader.read()).endswith(b"\r\n\r\n0")


async def test_what_was_asked_before_the_end_of_the_server_is_answered(echo: Echo) -> None:
    async with serving(echo) as (server, listener), asyncio.TaskGroup() as group:
        port = listener.getsockname()[1]
        asked = group.create_task(says(port, HEAD.replace(b" / ", b" /held ") + b"\r\n"))
        while not echo.begun:
            await asyncio.sleep(0.01)
        server.should_exit = True
        while listener.fileno() != -1 and server.servers and server.servers[0].is_serving():
            await asyncio.sleep(0.01)
        echo.go.set()
    assert b"connection: close\r\n" in asked.result()
    assert asked.result().endswith(b"\r\n\r\n0")
