"""A device's two calls on raw connections: however their bytes come, they are answered once, and as the application
would."""

import asyncio
import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
import pytest
import pytest_asyncio

from core_hub import CoreHub, TestDevice, log_batch, running_core
from flip_wire.version import WIRE_VERSION

pytestmark = pytest.mark.asyncio
DESIRED = "GET /api/v1/device/desired?after={after}&wait={wait}"
TELEMETRY = "POST /api/v1/device/telemetry"


class Line:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self.writer = writer

    async def answer(self) -> tuple[int, dict[str, str], bytes]:
        async with asyncio.timeout(30):
            head = (await self._reader.readuntil(b"\r\n\r\n")).decode()
            first, *lines = head.strip().split("\r\n")
            headers = dict(line.lower().split(": ", 1) for line in lines)
            body = await self._reader.readexactly(int(headers.get("content-length", "0")))
        return int(first.split(" ")[1]), headers, body

    async def at_end(self) -> bool:
        async with asyncio.timeout(30):
            return await self._reader.read(1) == b""


@asynccontextmanager
async def line_to(hub: CoreHub) -> AsyncGenerator[Line]:
    reader, writer = await asyncio.open_connection("127.0.0.1", hub.settings.hub.port)
    try:
        yield Line(reader, writer)
    finally:
        writer.close()


@pytest_asyncio.fixture
async def hub(folder: Path, mongo_url: str) -> AsyncGenerator[CoreHub]:
    async with running_core(folder, mongo_url) as started, asyncio.timeout(120):
        yield started


def request(
    hub: CoreHub, device: TestDevice, call: str, body: bytes = b"", *more: str, host: str = "", wire: int = WIRE_VERSION
) -> bytes:
    lines = [
        f"{call} HTTP/1.1",
        f"Host: {host or f'127.0.0.1:{hub.settings.hub.port}'}",
        *(f"{name}: {value}" for name, value in device.headers.items() if name.lower() != "flip-wire"),
        f"Flip-Wire: {wire}",
        *([f"Content-Length: {len(body)}"] if body and not any("chunked" in line for line in more) else []),
        *more,
    ]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def batch(seq: int) -> bytes:
    return msgspec.json.encode(log_batch([seq]))


async def kept(hub: CoreHub, device: TestDevice) -> list[int]:
    answer = await hub.http.get(f"/api/v1/devices/{device.id}/events", headers=hub.as_user())
    return sorted(event["seq"] for event in answer.json())


async def test_a_connection_answers_one_call_after_the_other_however_the_bytes_are_cut(hub: CoreHub) -> None:
    device = await hub.enrol()
    async with line_to(hub) as line:
        for seq, size in enumerate((1, 7, 64, 100_000)):
            sent = request(hub, device, TELEMETRY, batch(seq))
            for start in range(0, len(sent), size):
                line.writer.write(sent[start : start + size])
                await line.writer.drain()
                await asyncio.sleep(0)
            status, headers, body = await line.answer()
            assert (status, json.loads(body)["up_to"]) == (200, seq)
            assert {"date", "flip-time", "traceresponse"} <= headers.keys()
    assert await kept(hub, device) == [0, 1, 2, 3]


async def test_requests_that_come_before_the_answer_to_the_first_are_answered_in_their_order(hub: CoreHub) -> None:
    device = await hub.enrol()
    sent = [request(hub, device, TELEMETRY, batch(seq)) for seq in range(3)]
    me = request(hub, device, DESIRED.format(after=99, wait=0))
    async with line_to(hub) as line:
        line.writer.write(sent[0] + sent[1])  # in one piece: not plain
        line.writer.write(sent[2] + me)
        assert [json.loads((await line.answer())[2])["up_to"] for _ in range(3)] == [0, 1, 2]
        assert (await line.answer())[0] == 200
    async with line_to(hub) as line:
        line.writer.write(request(hub, device, DESIRED.format(after=0, wait=0.2)))
        await line.writer.drain()
        line.writer.write(sent[0])  # while the poll waits
        assert [(await line.answer())[0], (await line.answer())[0]] == [304, 200]
    assert await kept(hub, device) == [0, 1, 2]


@pytest.mark.parametrize(
    ("more", "closes"),
    [(["Connection: close"], True), (["Expect: nothing"], False), (["X-Twice: 1", "X-Twice: 2"], False)],
)
async def test_what_is_not_plain_is_answered_by_the_application(hub: CoreHub, more: list[str], closes: bool) -> None:
    device = await hub.enrol()
    async with line_to(hub) as line:
        line.writer.write(request(hub, device, TELEMETRY, batch(0), *more))
        status, headers, body = await line.answer()
        assert (status, json.loads(body)["up_to"]) == (200, 0)
        assert "x-content-type-options" in headers, "the application has answered"
        if closes:
            assert await line.at_end()
        else:
            line.writer.write(request(hub, device, TELEMETRY, batch(1)))
            assert json.loads((await line.answer())[2])["up_to"] == 1
    last = batch(2)
    chunks = b"%x\r\n%s\r\n0\r\n\r\n" % (len(last), last)
    async with line_to(hub) as line:
        line.writer.write(request(hub, device, TELEMETRY, chunks, "Transfer-Encoding: chunked"))
        assert json.loads((await line.answer())[2])["up_to"] == 2


@pytest.mark.parametrize(
    ("status", "body", "host", "wire", "token"),
    [
        (400, b"", "elsewhere.example", WIRE_VERSION, ""),
        (401, b"", "", WIRE_VERSION, "eyJhbGciOiJub25lIn0.e30."),
        (403, b"", "", 1, ""),
        (422, b"{}", "", WIRE_VERSION, ""),
    ],
)
async def test_what_is_refused_is_refused_by_the_application_and_the_connection_goes_on(
    hub: CoreHub, status: int, body: bytes, host: str, wire: int, token: str
) -> None:
    device = await hub.enrol()
    other = TestDevice(device.key, device.id, token or device.token)
    async with line_to(hub) as line:
        line.writer.write(request(hub, other, TELEMETRY, body or batch(7), host=host, wire=wire))
        found, headers, told = await line.answer()
        assert (found, headers["content-type"]) == (status, "application/problem+json")
        assert json.loads(told)["detail"]
        line.writer.write(request(hub, device, TELEMETRY, batch(0)))
        assert (await line.answer())[0] == 200
    assert await kept(hub, device) == [0]


async def test_a_poll_whose_device_hangs_up_is_over_and_a_batch_is_written_all_the_same(hub: CoreHub) -> None:
    device = await hub.enrol()
    async with line_to(hub) as line:
        line.writer.write(request(hub, device, DESIRED.format(after=0, wait=50)))
        await line.writer.drain()
        async with asyncio.timeout(30):
            while not hub.core.devices.polls.waiting:
                await asyncio.sleep(0.01)
    async with line_to(hub) as line:
        line.writer.write(request(hub, device, TELEMETRY, batch(0)))
        await line.writer.drain()
    async with asyncio.timeout(30):
        while hub.core.devices.polls.waiting or not await kept(hub, device):
            await asyncio.sleep(0.01)
