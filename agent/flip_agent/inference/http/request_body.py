"""The bodies of requests: whole, as they were before they were packed, and never larger than `inference.max_body`.

All that are on their way at the same time hold at most four times as much: many slow clients cannot take a small
device's memory. How long a body may be on its way is the connection's affair (`connection`).
"""

from litestar.types import Receive

from flip_agent.inference.engine.engine import ClientGone
from flip_agent.inference.http.admission import Headers
from flip_agent.inference.http.compression import Inflation, too_large
from flip_agent.inference.problems import QueueFull

_TOGETHER = 4


class Bodies:
    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._room = _TOGETHER * limit

    async def read(self, headers: Headers, receive: Receive) -> bytes | bytearray:
        """Raises `TooLarge`, `QueueFull`, another `Refusal` where it is packed in a wrong way, or `ClientGone`."""
        if int(headers.get(b"content-length", b"0")) > self._limit:
            raise too_large(self._limit)
        encoding = headers.get(b"content-encoding", b"identity")
        chunk, more = await _chunk(receive)
        if encoding == b"identity" and not more and len(chunk) <= self._limit:
            return chunk
        parts = Parts() if encoding == b"identity" else Inflation(encoding, self._limit)
        return await self._gathered(parts, chunk, more, receive)

    async def _gathered(self, parts: "Parts | Inflation", chunk: bytes, more: bool, receive: Receive) -> bytearray:
        held = arrived = 0
        try:
            while True:
                arrived += len(chunk)
                if arrived > self._limit:
                    raise too_large(self._limit)
                await parts.feed(chunk)
                self._room -= parts.size - held
                held = parts.size
                if self._room < 0:
                    raise QueueFull(f"bodies of more than {_TOGETHER * self._limit} bytes are on their way")
                if not more:
                    return parts.whole()
                chunk, more = await _chunk(receive)
        finally:
            self._room += held


class Parts:
    """Of one body that came as it is."""

    def __init__(self) -> None:
        self._body = bytearray()

    @property
    def size(self) -> int:
        return len(self._body)

    async def feed(self, chunk: bytes) -> None:
        self._body += chunk

    def whole(self) -> bytearray:
        return self._body


async def _chunk(receive: Receive) -> tuple[bytes, bool]:
    message = await receive()
    if message["type"] != "http.request":
        raise ClientGone
    return message["body"], message["more_body"]
