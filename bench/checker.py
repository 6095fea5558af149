"""A client that knows of the swaps: whether each answer is of a version that could answer it, and what that answers."""

import asyncio
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import msgspec
import numpy as np

from bench.servers import OipAnswer
from bench.swapper import Swapper
from bench.wrk import Post
from flip_demo.perceptron import Array

_PAUSE = 0.005
"""Seconds between two requests of a connection: a client in Python costs more than the server."""
_WITHIN = 10.0


class Checker:
    """An answer is right when its version was active at some time between its request's begin and its own end, and
    when its outputs are that version's."""

    def __init__(self, post: Post, swapper: Swapper, outputs: Mapping[str, Array]) -> None:
        """`outputs` by version, as the protocol writes it."""
        url = urlsplit(post.url)
        assert url.hostname
        assert url.port
        self._host, self._port = url.hostname, url.port
        body = post.body.read_bytes()
        head = f"POST {url.path} HTTP/1.1\r\nhost: {url.netloc}\r\ncontent-length: {len(body)}\r\n\r\n"
        self._request = head.encode() + body
        self._swapper = swapper
        self._outputs = outputs
        self.answers = 0
        self.failed = 0
        """Not answered, or not with 200."""
        self.wrong = 0

    @asynccontextmanager
    async def asking(self, connections: int) -> AsyncGenerator[None]:
        """Until the end of the block."""
        async with asyncio.TaskGroup() as group:
            clients = [group.create_task(self._client()) for _ in range(connections)]
            try:
                yield
            finally:
                for client in clients:
                    client.cancel()

    async def _client(self) -> None:
        reader, writer = await asyncio.open_connection(self._host, self._port)
        try:
            while True:
                await self._ask(reader, writer)
                await asyncio.sleep(_PAUSE)
        except (OSError, EOFError, TimeoutError):
            self.failed += 1
        finally:
            writer.close()

    async def _ask(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        earliest = self._swapper.done
        writer.write(self._request)
        async with asyncio.timeout(_WITHIN):
            head = await reader.readuntil(b"\r\n\r\n")
            content = await reader.readexactly(int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0]))
        possible = {str(self._swapper.version(swap)) for swap in range(earliest, self._swapper.begun + 1)}
        self.answers += 1
        if not head.startswith(b"HTTP/1.1 200 "):
            self.failed += 1
            return
        answer = msgspec.json.decode(content, type=OipAnswer)
        right = answer.model_version in possible and self._computed(answer.model_version, answer.outputs[0].data)
        self.wrong += not right

    def _computed(self, version: str, outputs: Sequence[float]) -> bool:
        return bool(np.allclose(outputs, self._outputs[version].ravel(), atol=1e-4))
