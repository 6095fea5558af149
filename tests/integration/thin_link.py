"""A thin link between `train` and the gateway: it ends TLS with the hub's own certificate, passes on what comes,
uploads no faster than `rate`, and breaks at an exact byte of an upload: all its connections at once.
"""

import asyncio
import re
import ssl
from collections import Counter
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress

from flwr.proto.message_pb2 import PushObjectRequest

from flip_hub.settings import Settings

_PIECE = 32 * 2**10
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)


class ThinLink:
    def __init__(self, hub: Settings, port: int, *, rate: float, size: int, cuts: int) -> None:
        """`size` is bytes of all that is to be uploaded: each of the `cuts` comes when nine tenths have passed of what
        the hub still lacked after the cut before."""
        self.address = f"127.0.0.1:{port}"
        self.calls: Counter[str] = Counter()
        self.sent = 0
        """Bytes of uploads, also of those that were cut."""
        self.passed: Counter[str] = Counter()
        """Objects that have passed whole, by their ids."""
        self.cuts_left = cuts
        self._lacking = size
        self._breaks_at = 0
        self._hub = hub
        self._port = port
        self._rate = rate
        self._turn = asyncio.Lock()
        self._open: set[asyncio.StreamWriter] = set()
        self._plan_cut()

    @asynccontextmanager
    async def running(self) -> AsyncGenerator[None]:
        state = self._hub.hub.state
        as_hub = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        as_hub.load_cert_chain(state / "fleet.pem", state / "fleet.key")
        self._trust = ssl.create_default_context(cafile=state / "ca.pem")
        server = await asyncio.start_server(self._converse, "127.0.0.1", self._port, ssl=as_hub)
        try:
            yield
        finally:
            server.close()
            self.break_all()
            async with asyncio.timeout(10):
                while self._open:  # each conversation ends by itself
                    await asyncio.sleep(0.01)

    def break_all(self) -> None:
        for writer in self._open:
            writer.transport.abort()

    async def _converse(self, device: asyncio.StreamReader, to_device: asyncio.StreamWriter) -> None:
        self._open.add(to_device)
        try:
            async with asyncio.TaskGroup() as group:
                from_hub, to_hub = await asyncio.open_connection("127.0.0.1", self._hub.fleet.port, ssl=self._trust)
                self._open.add(to_hub)
                answers = group.create_task(_pass_on(from_hub, to_device))
                with suppress(OSError, EOFError):
                    while True:
                        await self._request(device, to_hub)
                to_hub.transport.abort()
                await answers
                self._open.discard(to_hub)
        except* OSError:
            pass  # the hub is away
        finally:
            to_device.transport.abort()
            self._open.discard(to_device)

    async def _request(self, device: asyncio.StreamReader, to_hub: asyncio.StreamWriter) -> None:
        head = await device.readuntil(b"\r\n\r\n")
        call = head.split(b" ", 2)[1].decode().rpartition("/")[2]
        found = _LENGTH.search(head)
        self.calls[call] += 1
        to_hub.write(head)
        body = bytearray()
        left = 0 if found is None else int(found[1])
        while len(body) < left:
            piece = await device.read(min(_PIECE, left - len(body)))
            if not piece:
                raise EOFError
            body += piece
            to_hub.write(await self._slowly(piece) if call == "push-object" else piece)
            await to_hub.drain()
        if call == "push-object":
            self.passed[PushObjectRequest.FromString(bytes(body)).object_id] += 1
            self._lacking -= left

    async def _slowly(self, piece: bytes) -> bytes:
        async with self._turn:
            piece = piece[: self._breaks_at - self.sent] if self.cuts_left else piece
            await asyncio.sleep(len(piece) / self._rate)
            self.sent += len(piece)
            if self.cuts_left and self.sent == self._breaks_at:
                self.cuts_left -= 1
                self._plan_cut()
                self.break_all()
            return piece

    def _plan_cut(self) -> None:
        self._breaks_at = self.sent + self._lacking * 9 // 10


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while piece := await reader.read(_PIECE):
            writer.write(piece)
            await writer.drain()
    writer.transport.abort()
