"""One request of a device at the Fleet gateway, over raw ASGI: what is read of it and what it is told."""

import asyncio
import time
from collections.abc import AsyncIterator, Generator, Mapping
from contextlib import contextmanager
from typing import Any

import msgspec
from google.protobuf.message import DecodeError

from flip_hub.federation.upstream import Answer
from flip_hub.mongo import DatabaseDown
from flip_hub.problem import PROBLEM_JSON, NotFound, Refused, TooLarge, problem_of
from flip_runtime.errors import Unavailable

METHODS = frozenset(
    {
        "register-node", "activate-node", "deactivate-node", "unregister-node", "send-node-heartbeat",
        "pull-messages", "push-messages", "get-run", "get-fab", "push-object", "pull-object",
        "confirm-message-received",
    }
)  # fmt: skip
PREFIX = "/v1/fleet/"
OWN_PREFIX = "/v1/flip/"
"""Calls that the SuperLink never sees."""
LARGEST_BODY = 64 * 2**20
"""Bytes: Flower sends arrays in chunks of 5 MiB, but a ConfigRecord's bytes in one piece."""
LARGEST_SMALL_BODY = 2**16
"""Bytes of the requests that are read whole."""
LARGEST_ANNOUNCEMENT = 4 * 2**20
"""Bytes of a reply without its objects: it names each by its hash."""
LONGEST_WAIT = 60.0


class Gone(Exception):
    """The device has hung up."""


class Call:
    """One request over raw ASGI: what the gateway reads of it and says to it."""

    def __init__(self, scope: Any, receive: Any, send: Any) -> None:
        self._receive = receive
        self._send = send
        self.verb: str = scope["method"]
        self.path: str = scope["path"]
        self.query: str = scope["query_string"].decode("ascii", "replace")
        self.headers: dict[bytes, bytes] = dict(scope["headers"])
        self.answered = False

    def method(self) -> str:
        """Of Flower's Fleet API; empty for a call of our own."""
        name = self.path.removeprefix(PREFIX)
        if self.path.startswith(OWN_PREFIX):
            return ""
        if self.verb != "POST" or not self.path.startswith(PREFIX) or name not in METHODS:
            raise NotFound("the Fleet gateway has no such call", hint="the API and console are on the hub's own port")
        return name

    @property
    def length(self) -> int:
        """Bytes of the body as the device says, 0 when it does not."""
        said = self.headers.get(b"content-length", b"0")
        return int(said) if said.isdigit() else 0

    def wait(self) -> float:
        """Seconds that an empty answer may be held back."""
        try:
            return min(max(float(self.headers.get(b"flip-wait", b"0")), 0.0), LONGEST_WAIT)
        except ValueError as error:
            raise Refused("Flip-Wait is not a number of seconds") from error

    async def body(self, limit: int = LARGEST_BODY) -> AsyncIterator[bytes]:
        left = limit
        while True:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                raise Gone
            chunk: bytes = message.get("body", b"")
            left -= len(chunk)
            if left < 0:
                raise TooLarge(f"the body is larger than {limit} bytes")
            if chunk:
                yield chunk
            if not message.get("more_body", False):
                return

    async def whole_body(self, limit: int = LARGEST_SMALL_BODY) -> bytes:
        return b"".join([chunk async for chunk in self.body(limit)])

    async def until(self, written: asyncio.Event, seconds: float) -> None:
        """Waits for the event or that long; raises `Gone` when the device hangs up meanwhile."""
        hung_up = asyncio.create_task(self._receive())  # after the body ASGI has nothing but the end of the connection
        waking = asyncio.create_task(written.wait())
        try:
            done, _ = await asyncio.wait({hung_up, waking}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        finally:
            hung_up.cancel()
            waking.cancel()
        if hung_up in done and waking not in done:
            raise Gone

    async def give(self, answer: Answer) -> None:
        await self._start(answer.status, answer.headers)
        await self._send({"type": "http.response.body", "body": answer.body, "more_body": False})

    async def stream(self, status: int, headers: Mapping[bytes, bytes], chunks: AsyncIterator[bytes]) -> None:
        """As the chunks come; an error of theirs is raised here, and leaves half an answer."""
        await self._start(status, headers)
        async for chunk in chunks:
            await self._send({"type": "http.response.body", "body": chunk, "more_body": True})
        await self._send({"type": "http.response.body", "body": b"", "more_body": False})

    async def refuse(self, error: Exception) -> None:
        problem = problem_of(error)
        headers = {b"content-type": PROBLEM_JSON.encode()}
        if isinstance(error, Unavailable | DatabaseDown):
            wait = error.retry_after if isinstance(error, Unavailable) else None
            headers[b"retry-after"] = str(max(1, round(wait or 1.0))).encode()
        await self.give(Answer(status=problem.status, headers=headers, body=msgspec.json.encode(problem)))

    async def _start(self, status: int, headers: Mapping[bytes, bytes]) -> None:
        self.answered = True
        stamped = [*headers.items(), (b"flip-time", f"{time.time():.3f}".encode())]
        await self._send({"type": "http.response.start", "status": status, "headers": stamped})


@contextmanager
def decoding() -> Generator[None]:
    """Raises `Refused` for a body that is not Flower's."""
    try:
        yield
    except DecodeError as error:
        raise Refused("the body is not the protobuf message of this call") from error
