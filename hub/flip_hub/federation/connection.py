"""One HTTP/1.1 connection to the SuperLink, for one call at a time; `Unavailable` in every way that it can fail."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Self

import httptools

from flip_runtime.errors import Unavailable

_CONNECT_WITHIN = 5.0
_PIECE_WITHIN = 60.0
"""Seconds until the next piece of an answer has come, or a piece of a request was taken."""
_PIECE = 2**18
"""Bytes that are read at once, at most."""


class Reading:
    """What has been read of one answer; httptools calls the `on_` methods."""

    def __init__(self) -> None:
        self.parser = httptools.HttpResponseParser(self)
        self.headers: dict[bytes, bytes] = {}
        self.pieces: list[bytes] = []
        self.begun = False
        self.ended = False
        self.reusable = False

    @property
    def status(self) -> int:
        return self.parser.get_status_code()

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers[name.lower()] = value

    def on_headers_complete(self) -> None:
        self.begun = True

    def on_body(self, piece: bytes) -> None:
        self.pieces.append(piece)

    def on_message_complete(self) -> None:
        self.ended = True
        self.reusable = self.parser.should_keep_alive()


class Connection:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self.idle_since = 0.0
        """On the monotonic clock; its owner's note."""

    @classmethod
    async def open(cls, host: str, port: int) -> Self:
        async with _answering(_CONNECT_WITHIN):
            return cls(*await asyncio.open_connection(host, port, limit=_PIECE))

    @property
    def usable(self) -> bool:
        return not (self._reader.at_eof() or self._writer.is_closing())

    def close(self) -> None:
        self._writer.close()

    async def ask(self, head: bytes, body: AsyncIterator[bytes], *, chunked: bool) -> Reading:
        """Sends all of the request, and reads the head of the answer. Errors of `body` are raised here."""
        self._writer.write(head)
        async for piece in body:
            self._writer.writelines((b"%x\r\n" % len(piece), piece, b"\r\n") if chunked else (piece,))
            async with _answering(_PIECE_WITHIN):
                await self._writer.drain()
        if chunked:
            self._writer.write(b"0\r\n\r\n")
        answer = Reading()
        while not answer.begun:
            await self._read(answer)
        return answer

    async def pieces(self, answer: Reading) -> AsyncIterator[bytes]:
        while True:
            pieces, answer.pieces = answer.pieces, []
            for piece in pieces:
                yield piece
            if answer.ended:
                return
            await self._read(answer)

    async def _read(self, answer: Reading) -> None:
        async with _answering(_PIECE_WITHIN):
            data = await self._reader.read(_PIECE)
            if not data:
                raise ConnectionResetError
            answer.parser.feed_data(data)


@contextlib.asynccontextmanager
async def _answering(within: float) -> AsyncGenerator[None]:
    try:
        async with asyncio.timeout(within):
            yield
    except (OSError, TimeoutError, httptools.HttpParserError) as error:
        raise Unavailable("the SuperLink does not answer", hint="it is restarting: try again") from error
