"""A bad network between `train` and the gateway: it ends TLS with the hub's own certificate and harms every other call.

Each of Flower's and our calls meets each of the faults in turn, a sound one after each.
"""

import asyncio
import ssl
from collections import Counter
from collections.abc import AsyncGenerator, Awaitable, Callable, MutableMapping
from contextlib import asynccontextmanager
from enum import Enum, auto
from typing import Any

import httpx
import uvicorn

from flip_hub.settings import Settings

Message = MutableMapping[str, Any]


class Fault(Enum):
    CUT_BEFORE = auto()
    """The connection breaks before the hub has heard."""
    CUT_AFTER = auto()
    """The hub has done it, and the answer is lost."""
    TWICE = auto()
    """The hub hears it twice."""
    SLOW = auto()
    SILENT = auto()
    """Half-open: no answer, and no end."""
    GARBAGE = auto()
    """A portal's page with status 200."""
    STATUS_500 = 500
    STATUS_401 = 401
    STATUS_429 = 429
    STATUS_503 = 503
    STATUS_404 = 404


class FaultProxy:
    def __init__(self, hub: Settings, port: int, faults: list[Fault]) -> None:
        self.address = f"127.0.0.1:{port}"
        self.met: Counter[str] = Counter()
        """Calls by their name, the harmed ones too."""
        self.heard: dict[str, list[float]] = {}
        """When those came, by the loop's clock."""
        self.away = False
        """Nothing gets through."""
        self._hub = hub
        self._port = port
        self._faults = faults
        trust = ssl.create_default_context(cafile=hub.hub.state / "ca.pem")
        self._http = httpx.AsyncClient(
            base_url=f"https://127.0.0.1:{hub.fleet.port}", verify=trust, trust_env=False, timeout=90.0
        )

    @asynccontextmanager
    async def running(self) -> AsyncGenerator[None]:
        state = self._hub.hub.state
        config = uvicorn.Config(
            self,
            port=self._port,
            ssl_certfile=state / "fleet.pem",
            ssl_keyfile=str(state / "fleet.key"),
            ws="none",
            lifespan="off",
            log_config=None,
            log_level="critical",
            timeout_graceful_shutdown=1,
        )
        server = uvicorn.Server(config)
        task = asyncio.create_task(server.serve())
        try:
            async with asyncio.timeout(20):
                while not server.started:
                    await asyncio.sleep(0.02)
            yield
        finally:
            server.should_exit = True
            await task
            await self._http.aclose()

    async def __call__(
        self, scope: Message, receive: Callable[[], Awaitable[Message]], send: Callable[[Message], Awaitable[None]]
    ) -> None:
        body, more = b"", True
        while more:
            message = await receive()
            body += message.get("body", b"")
            more = message.get("more_body", False)
        match self._fault(scope["path"]):
            case Fault.CUT_BEFORE:
                return  # uvicorn closes a connection whose request gets no answer: with a 500 or none
            case Fault.CUT_AFTER:
                await self._ask(scope, body)
            case Fault.SILENT:
                await receive()  # until the device gives up
            case Fault.GARBAGE:
                await _give(send, 200, [], b"<html>Log in to the hotel's network</html>")
            case Fault.TWICE:
                await self._ask(scope, body)
                await self._pass(scope, body, send)
            case Fault.SLOW:
                await asyncio.sleep(1.0)
                await self._pass(scope, body, send)
            case None:
                await self._pass(scope, body, send)
            case status:
                await _give(send, status.value, [(b"retry-after", b"0")], b"")

    def _fault(self, path: str) -> Fault | None:
        if self.away:
            return Fault.CUT_BEFORE
        name = path.removeprefix("/v1/").partition("/")[2].partition("/")[0]
        number = self.met[name]
        self.met[name] += 1
        self.heard.setdefault(name, []).append(asyncio.get_running_loop().time())
        harmed, sound = divmod(number, 2)
        return None if sound or harmed >= len(self._faults) else self._faults[harmed]

    async def _pass(self, scope: Message, body: bytes, send: Callable[[Message], Awaitable[None]]) -> None:
        answer = await self._ask(scope, body)
        kept = [(name, value) for name, value in answer.headers.raw if name.lower() != b"transfer-encoding"]
        await _give(send, answer.status_code, kept, answer.content)

    async def _ask(self, scope: Message, body: bytes) -> httpx.Response:
        headers = [(name, value) for name, value in scope["headers"] if name not in (b"host", b"transfer-encoding")]
        query = scope["query_string"].decode()
        url = scope["path"] + (f"?{query}" if query else "")
        return await self._http.request(scope["method"], url, content=body, headers=headers)


async def _give(
    send: Callable[[Message], Awaitable[None]], status: int, headers: list[tuple[bytes, bytes]], body: bytes
) -> None:
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
