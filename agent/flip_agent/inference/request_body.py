"""The body of a request: whole, as it was before it was packed, and never larger than `inference.max_body`.

How long it may take is the connection's affair (`connection`).
"""

from litestar.types import Receive

from flip_agent.inference.admission import Headers
from flip_agent.inference.compression import Inflation, too_large
from flip_agent.inference.engine import ClientGone


async def read_body(headers: Headers, receive: Receive, limit: int) -> bytes | bytearray:
    """Raises `TooLarge`, another `Refusal` where it is packed in a wrong way, or `ClientGone`."""
    if int(headers.get(b"content-length", b"0")) > limit:
        raise too_large(limit)
    encoding = headers.get(b"content-encoding", b"identity")
    if encoding == b"identity":
        return await _plain(receive, limit)
    return await _inflated(receive, Inflation(encoding, limit), limit)


async def _plain(receive: Receive, limit: int) -> bytes | bytearray:
    body = bytearray()
    while True:
        chunk, more = await _chunk(receive)
        if not body and not more:
            return chunk
        body += chunk
        if len(body) > limit:
            raise too_large(limit)
        if not more:
            return body


async def _inflated(receive: Receive, inflation: Inflation, limit: int) -> bytearray:
    more, packed = True, 0
    while more:
        chunk, more = await _chunk(receive)
        packed += len(chunk)
        if packed > limit:
            raise too_large(limit)
        await inflation.feed(chunk)
    return inflation.whole()


async def _chunk(receive: Receive) -> tuple[bytes, bool]:
    message = await receive()
    if message["type"] != "http.request":
        raise ClientGone
    return message["body"], message["more_body"]
