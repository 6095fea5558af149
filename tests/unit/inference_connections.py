"""A server of inference connections that have 0.3 s for a request, and clients that speak with it byte by byte."""

import asyncio
import contextlib
import json
import socket
from collections.abc import AsyncGenerator
from typing import Any

import uvicorn

from flip_agent.inference.engine.engine import ClientGone
from flip_agent.inference.http.answer import send_content
from flip_agent.inference.http.connection import Connection
from flip_agent.inference.http.request_body import Bodies

LARGE = 2**24
HEAD = b"POST / HTTP/1.1\r\nHost: localhost\r\n"


class Hasty(Connection):
    whole_within = 0.3
    most = 30
    lost = 0

    def connection_lost(self, exc: Exception | None) -> None:
        Hasty.lost += 1
        super().connection_lost(exc)


class Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Any:
        yield


class Echo:
    """Answers with the length of the body; `/early` without reading it, `/held` when it is let go, `/large`: a lot."""

    def __init__(self) -> None:
        self.begun = 0
        self.go = asyncio.Event()
        self.bodies = Bodies(10**6)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.begun += 1
        if scope["path"] == "/held":
            await self.go.wait()
        if scope["path"] == "/large":
            await send_content(scope, send, 200, b"text/plain", b"x" * LARGE)
            return
        with contextlib.suppress(ClientGone):
            body = b"" if scope["path"] == "/early" else await self.bodies.read(dict(scope["headers"]), receive)
            content = str(len(body)).encode()
            await send_content(scope, send, 200, b"text/plain", content)


@contextlib.asynccontextmanager
async def serving(echo: Echo) -> AsyncGenerator[tuple[Server, socket.socket]]:
    """Until the end of the block, or as its `should_exit` says; and what it listens on."""
    config: Any = uvicorn.Config(echo, http=Hasty, ws="none", lifespan="off", log_config=None, log_level="error")
    server = Server(config)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        async with asyncio.TaskGroup() as group:
            group.create_task(server.serve(sockets=[listener]))
            yield server, listener
            server.should_exit = True


@contextlib.asynccontextmanager
async def connected(port: int) -> AsyncGenerator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """For twenty seconds."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        async with asyncio.timeout(20):
            yield reader, writer
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


async def says(port: int, content: bytes) -> bytes:
    """All that is answered until the server closes the connection."""
    async with connected(port) as (reader, writer):
        writer.write(content)
        return await reader.read()


def problem(answer: bytes) -> dict[str, Any]:
    head, _, content = answer.partition(b"\r\n\r\n")
    assert b"application/problem+json" in head
    told = json.loads(content)
    assert head.startswith(f"HTTP/1.1 {told['status']} ".encode())
    return told
