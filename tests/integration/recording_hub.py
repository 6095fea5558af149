"""The hub's internal routes for a ServerApp's process, which keep what they were told."""

import asyncio
import hashlib
from collections.abc import AsyncGenerator, Awaitable, Callable, MutableMapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import uvicorn

from flip_hub.federation.brief import Brief
from flip_hub.federation.plan import Plan
from flip_hub.federation.schemas import RunReport


class RecordingHub:
    """The hub's internal routes, which refuse the first report as a hub that is just starting would."""

    def __init__(self) -> None:
        self.reports: dict[str, list[RunReport]] = {}
        self.artifacts: dict[str, bytes] = {}
        self.refusals = 1
        self.plan = Plan()
        self._given = b""

    async def __call__(
        self,
        scope: MutableMapping[str, Any],
        receive: Callable[[], Awaitable[MutableMapping[str, Any]]],
        send: Callable[[MutableMapping[str, Any]], Awaitable[None]],
    ) -> None:
        body, more = b"", True
        while more:
            message = await receive()
            body += message.get("body", b"")
            more = message.get("more_body", False)
        self._given = b""
        await send({"type": "http.response.start", "status": self._take(scope, body), "headers": []})
        await send({"type": "http.response.body", "body": self._given})

    def _take(self, scope: MutableMapping[str, Any], body: bytes) -> int:
        if dict(scope["headers"])[b"authorization"] != b"Bearer internal":
            return 401
        match scope["method"], scope["path"].split("/"):
            case "PUT", ["", "internal", "v1", "artifacts", sha256]:
                assert hashlib.sha256(body).hexdigest() == sha256
                self.artifacts[sha256] = body
                return 204
            case "POST", ["", "internal", "v1", "runs", run_id, "reports"]:
                if self.refusals:
                    self.refusals -= 1
                    return 503
                self.reports.setdefault(run_id, []).append(msgspec.json.decode(body, type=RunReport))
                return 204
            case "GET", ["", "internal", "v1", "runs", run_id, "brief"]:
                self._given = msgspec.json.encode(Brief(run_id=f"run-{run_id}", plan=self.plan, seed=1))
                return 200
            case "GET", ["", "internal", "v1", "runs", run_id, "nodes"]:
                self._given = b"[]"
                return 200
            case _:
                return 404


@asynccontextmanager
async def serving(app: Any, socket: Path) -> AsyncGenerator[None]:
    server = uvicorn.Server(uvicorn.Config(app, uds=str(socket), ws="none", lifespan="off", log_config=None))
    task = asyncio.create_task(server.serve())
    try:
        yield
    finally:
        server.should_exit = True
        await task
