"""What an application sends is one whole answer on the connection; what it receives is the body, then silence."""

import asyncio
from typing import Any

import pytest

from flip_agent.inference.http.exchange import Exchange
from flip_agent.inference.http.outlet import Outlet

pytestmark = pytest.mark.asyncio


class Transport:
    """Keeps what is written, of which the client takes what the test says."""

    def __init__(self) -> None:
        self.written: list[bytes] = []
        self.taken = 0

    def write(self, content: bytes) -> None:
        self.written.append(content)

    def get_write_buffer_size(self) -> int:
        return sum(map(len, self.written)) - self.taken


class Line:
    def __init__(self) -> None:
        self.transport = Transport()
        self.outlet = Outlet(self.transport, asyncio.get_running_loop())
        self.ends = 0

    @property
    def written(self) -> list[bytes]:
        return self.transport.written

    def taken(self) -> None:
        pass

    def answered(self) -> None:
        self.ends += 1


def exchange(line: Line, method: str = "GET") -> Exchange:
    scope: Any = {"type": "http", "method": method}
    return Exchange(line, scope, keep_alive=True, expects_continue=False)


async def send(to: Exchange, status: int, headers: list[tuple[bytes, bytes]], *pieces: bytes) -> None:
    await to.send({"type": "http.response.start", "status": status, "headers": headers})
    for at, piece in enumerate(pieces):
        await to.send({"type": "http.response.body", "body": piece, "more_body": at + 1 < len(pieces)})


async def test_an_answer_in_pieces_goes_out_whole_with_its_length() -> None:
    line = Line()
    await send(exchange(line), 200, [(b"x", b"y")], b"ab", b"", b"c")
    assert line.written == [b"HTTP/1.1 200 OK\r\nx: y\r\ncontent-length: 3\r\n\r\nabc"]
    assert line.ends == 1


async def test_an_answer_without_content_has_no_length() -> None:
    line = Line()
    await send(exchange(line), 204, [], b"")
    assert line.written == [b"HTTP/1.1 204 No Content\r\n\r\n"]


async def test_an_answer_to_head_names_the_length_that_it_leaves_out() -> None:
    line = Line()
    await send(exchange(line, "HEAD"), 200, [(b"content-length", b"3")], b"abc")
    assert line.written == [b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\n"]


async def test_a_second_answer_and_one_that_nobody_reads_are_not_written() -> None:
    line = Line()
    answered, abandoned = exchange(line), exchange(line)
    await send(answered, 200, [], b"a")
    await send(answered, 500, [], b"b")
    abandoned.abandon()
    await send(abandoned, 200, [], b"c")
    assert len(line.written) == line.ends == 1


async def test_the_body_is_received_as_it_comes_and_then_that_the_client_has_gone() -> None:
    asked = exchange(Line())
    asked.feed(b"a")
    asked.feed(b"b")
    assert await asked.receive() == {"type": "http.request", "body": b"ab", "more_body": True}
    rest = asyncio.create_task(asked.receive())
    await asyncio.sleep(0)
    asked.end()
    assert await rest == {"type": "http.request", "body": b"", "more_body": False}
    gone = asyncio.create_task(asked.receive())
    await asyncio.sleep(0)
    assert not gone.done()
    asked.abandon()
    assert await gone == {"type": "http.disconnect"}


async def test_an_answer_waits_while_the_one_before_is_not_read() -> None:
    line = Line()
    line.outlet.pause()
    answering = asyncio.create_task(send(exchange(line), 200, [], b"a"))
    await asyncio.sleep(0)
    assert not line.written
    line.outlet.resume()
    await answering
    assert line.written


async def test_a_client_is_stuck_when_it_takes_next_to_nothing_from_one_look_to_the_next() -> None:
    transport = Transport()
    outlet = Outlet(transport, asyncio.get_running_loop())
    assert not outlet.is_stuck(), "nothing is there for it"
    outlet.write(b"x" * 200_000)
    assert not outlet.is_stuck(), "that was written just now"
    transport.taken = 100_000
    assert not outlet.is_stuck()
    transport.taken = 100_001
    assert outlet.is_stuck()
    transport.taken = 200_000
    assert not outlet.is_stuck()
