"""gzip and deflate of bodies (RFC 9110: deflate is zlib's format), both ways.

What is inflated is never more than it may be, and other requests get their turn meanwhile: a bomb costs what any body
of the largest size costs.
"""

import asyncio
import zlib

from flip_agent.inference.problems import Refusal, TooLarge, Unsupported

_FORMATS = {b"gzip": 31, b"x-gzip": 31, b"deflate": 15}
"""`wbits` of zlib."""
_STEP = 2**18
"""Bytes between two turns of the event loop: about half a millisecond."""
_WORTH_IT = 1400
"""Bytes; what fits into one packet anyway is sent as it is."""
_LEVEL = 1


class Inflation:
    """Of one body, as its chunks arrive."""

    def __init__(self, encoding: bytes, limit: int) -> None:
        """Raises `Unsupported`."""
        wbits = _FORMATS.get(encoding.lower())
        if wbits is None:
            raise Unsupported("the body has a Content-Encoding other than gzip and deflate", hint="send it as it is")
        self._name = encoding.decode()
        self._inflater = zlib.decompressobj(wbits)
        self._limit = limit
        self._body = bytearray()

    @property
    def size(self) -> int:
        """Bytes so far."""
        return len(self._body)

    async def feed(self, chunk: bytes) -> None:
        """Raises `Refusal` or `TooLarge`."""
        full = True
        while full:
            try:
                piece = self._inflater.decompress(chunk, _STEP)
            except zlib.error as error:
                raise Refusal(f"the body is no {self._name}") from error
            self._body += piece
            if len(self._body) > self._limit:
                raise too_large(self._limit)
            if self._inflater.unused_data:
                raise Refusal(f"the body goes on after the end of its {self._name}")
            chunk = self._inflater.unconsumed_tail
            if full := len(piece) == _STEP:  # there may be more, even of a chunk that is used up
                await asyncio.sleep(0)

    def whole(self) -> bytearray:
        """Raises `Refusal`."""
        if not self._inflater.eof:
            raise Refusal(f"the body ends before its {self._name} does")
        return self._body


def too_large(limit: int) -> TooLarge:
    return TooLarge(f"the body has more than {limit} bytes", hint="send fewer rows, or raise inference.max_body")


def accepted(accept_encoding: bytes | None, content: bytes) -> bytes:
    """The encoding for this content that the client takes; empty to send it as it is."""
    if accept_encoding is None or len(content) < _WORTH_IT:
        return b""
    offers = (offer.partition(b";q=") for offer in accept_encoding.lower().replace(b" ", b"").split(b","))
    taken = {name for name, _, weight in offers if not weight or weight.strip(b"0.")}
    return next((name for name in (b"gzip", b"deflate") if name in taken), b"")


async def deflated(encoding: bytes, content: bytes) -> bytes:
    if len(content) > _STEP:
        return await asyncio.to_thread(zlib.compress, content, _LEVEL, _FORMATS[encoding])
    return zlib.compress(content, _LEVEL, _FORMATS[encoding])
