"""Bodies as they arrive: in pieces, packed, too large, too many at once."""

import asyncio
import gzip
import zlib
from collections.abc import AsyncGenerator
from typing import Any

import pytest

from flip_agent.inference.engine.engine import ClientGone
from flip_agent.inference.http.compression import accepted, deflated
from flip_agent.inference.http.request_body import Bodies
from flip_agent.inference.problems import QueueFull, Refusal, TooLarge, Unsupported

pytestmark = pytest.mark.asyncio

LIMIT = 2**20
ZEROS = bytes(LIMIT)


async def read(bodies: Bodies, *chunks: bytes, encoding: str = "", goes: bool = False, declared: int = 0) -> bytes:
    """`goes`: the client leaves before the last chunk."""

    async def told() -> AsyncGenerator[dict[str, Any]]:
        for at, chunk in enumerate(chunks):
            yield {"type": "http.request", "body": chunk, "more_body": goes or at + 1 < len(chunks)}
        yield {"type": "http.disconnect"}

    headers = {b"content-length": str(declared).encode()} if declared else {}
    receive: Any = told().__anext__
    return bytes(await bodies.read(headers | ({b"content-encoding": encoding.encode()} if encoding else {}), receive))


@pytest.mark.parametrize("pieces", [1, 2, 7])
@pytest.mark.parametrize("encoding", ["", "gzip", "x-gzip", "GZIP", "deflate"])
@pytest.mark.parametrize("size", [0, 1, 1000, 2**18, 2**18 + 1, LIMIT])
async def test_a_body_is_what_was_packed_however_it_arrives(size: int, encoding: str, pieces: int) -> None:
    body = (b"0123456789" * (size // 10 + 1))[:size]
    packed = zlib.compress(body) if encoding == "deflate" else gzip.compress(body) if encoding else body
    step = max(1, -(-len(packed) // pieces))
    chunks = [packed[at : at + step] for at in range(0, len(packed), step)] or [b""]
    assert await read(Bodies(LIMIT), *chunks, encoding=encoding) == body


@pytest.mark.parametrize("chunks", [(ZEROS + b"0",), (ZEROS, b"0"), (b"0",) * 3 + (ZEROS,)])
async def test_one_byte_too_many_is_too_large(chunks: tuple[bytes, ...]) -> None:
    with pytest.raises(TooLarge):
        await read(Bodies(LIMIT), *chunks)
    for encoding, pack in (("gzip", gzip.compress), ("deflate", zlib.compress)):
        with pytest.raises(TooLarge):
            await read(Bodies(LIMIT), pack(b"".join(chunks)), encoding=encoding)


async def test_what_is_declared_too_large_is_not_read() -> None:
    with pytest.raises(TooLarge):
        await read(Bodies(LIMIT), declared=LIMIT + 1)


async def test_packing_without_content_is_not_read_for_ever() -> None:
    empty = zlib.compressobj().flush(zlib.Z_SYNC_FLUSH)
    with pytest.raises(TooLarge):
        await read(Bodies(LIMIT), empty, *[b"\0\0\0\xff\xff" * 20_000] * 20, encoding="deflate")


async def test_others_get_their_turn_while_a_bomb_is_inflated() -> None:
    turns = 0

    async def other() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    async with asyncio.TaskGroup() as group:
        beside = group.create_task(other())
        with pytest.raises(TooLarge):
            await read(Bodies(16 * LIMIT), gzip.compress(ZEROS * 17), encoding="gzip")
        beside.cancel()
    assert turns >= 16


async def test_what_is_no_known_packing_is_unsupported() -> None:
    for encoding in ("br", "gzip, gzip", "zstd"):
        with pytest.raises(Unsupported):
            await read(Bodies(LIMIT), b"", encoding=encoding)


async def test_bodies_on_their_way_hold_four_times_the_largest_together() -> None:
    bodies, arrived, go = Bodies(LIMIT), asyncio.Semaphore(0), asyncio.Event()

    async def slow() -> int:
        chunks = [ZEROS, b""]

        async def receive() -> Any:
            if len(chunks) == 1:
                arrived.release()
                await go.wait()
            return {"type": "http.request", "body": chunks.pop(0), "more_body": bool(chunks)}

        return len(await bodies.read({}, receive))

    async with asyncio.TaskGroup() as group:
        held = [group.create_task(slow()) for _ in range(4)]
        for _ in held:
            await arrived.acquire()
        with pytest.raises(QueueFull):
            await read(bodies, b"0", b"0")
        assert await read(bodies, b"0") == b"0"  # one that comes whole takes no room
        go.set()
    assert [task.result() for task in held] == [LIMIT] * 4
    assert await read(bodies, ZEROS, b"") == ZEROS


async def test_the_room_of_those_that_fail_or_leave_is_given_back() -> None:
    bodies = Bodies(LIMIT)
    for _ in range(10):
        with pytest.raises(ClientGone):
            await read(bodies, ZEROS, goes=True)
        with pytest.raises(Refusal, match="ends before its gzip does"):
            await read(bodies, gzip.compress(ZEROS)[:-1], encoding="gzip")
    assert await read(bodies, ZEROS, b"") == ZEROS


@pytest.mark.parametrize(
    ("accept", "chosen"),
    [
        (None, b""),
        (b"", b""),
        (b"gzip", b"gzip"),
        (b"deflate", b"deflate"),
        (b"deflate, gzip;q=0.5", b"gzip"),
        (b"gzip;q=0, deflate", b"deflate"),
        (b"gzip; q=0.000", b""),
        (b"identity, br", b""),
        (b"GZIP", b"gzip"),
        (b"*", b""),
    ],
)
async def test_an_answer_is_packed_as_the_client_takes_it(accept: bytes | None, chosen: bytes) -> None:
    assert accepted(accept, ZEROS) == chosen
    assert accepted(accept, b"short") == b""


@pytest.mark.parametrize("content", [b"x" * 2000, ZEROS])
async def test_what_is_packed_can_be_unpacked(content: bytes) -> None:
    assert gzip.decompress(await deflated(b"gzip", content)) == content
    assert zlib.decompress(await deflated(b"deflate", content)) == content
