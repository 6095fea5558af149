"""The hub's own way to the SuperLink, in the SuperLink's process: Flower's calls without what is done already, and the
news of who was written to.

Flower answers a call in 4 ms, nearly all of which it spends in ten layers of middleware and on the device's signature.
The gateway has checked that signature; here is checked that the gateway asks (it shows the hub's internal secret), and
that the node belongs to the key. A ServerApp's calls for objects are answered here too when it shows the token of its
task; anything that is not plain is Flower's to answer.
"""

import asyncio
import hmac
import secrets
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
from flwr.proto.task_pb2 import Task
from flwr.supercore.constant import TASK_TOKEN_HEADER
from msgspec import Struct
from starlette.requests import Request
from starlette.responses import Response

from flip_hub.federation.fleet_link_state import FleetLinkState
from flip_hub.federation.lane_calls import RUNTIME_PATHS, fleet_call, refusal, runtime_call

LANE = "/v1/flip/fleet/"
NEWS = "/v1/flip/news"
LONGEST_HOLD = 5.0
"""Seconds that news are waited for; an answer without any says that there are none."""
_LOOK_AT_RUNS = 0.5
"""Seconds; looking takes 30 us."""
_GATHER = 0.005
"""Seconds: a ServerApp writes to many nodes at once."""


class NewsWanted(Struct, frozen=True, kw_only=True):
    boot: str = ""
    """Of the last news; of another process all is news."""
    after: int = 0
    running: list[str] = []


class News(Struct, frozen=True, kw_only=True):
    boot: str
    number: int
    """Of the last writing that this tells of."""
    written: list[str]
    """Nodes that were written to since then; there may be nothing for them any more."""
    running: list[str]
    """All runs whose devices are answered; devices of others get Flower's refusal."""


class FastLane:
    """The outermost ASGI middleware."""

    def __init__(self, app: Any, secret: str) -> None:
        self._app = app
        self._secret = f"Bearer {secret}".encode()
        self._boot = secrets.token_hex(8)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        answer = None
        if scope["type"] == "http" and scope["method"] == "POST":
            request, path = Request(scope, receive), scope["path"]
            if path == NEWS or path.startswith(LANE):
                answer = await self._answer(request, path)
            elif path in RUNTIME_PATHS and (task := _task(request)) is not None:
                answer = await runtime_call(_state(request), path, task, await request.body())
        await (answer or self._app)(scope, receive, send)

    async def _answer(self, request: Request, path: str) -> Response:
        if not hmac.compare_digest(request.headers.get("authorization", "").encode(), self._secret):
            return refusal(401, "this is the hub's own way")
        body = await request.body()
        if path == NEWS:
            return await self._news(_state(request), body, request.is_disconnected)
        key = request.headers.get("flwr-public-key", "").encode()
        return await fleet_call(_state(request), path.removeprefix(LANE), key, body)

    async def _news(
        self, state: FleetLinkState, body: bytes, is_disconnected: Callable[[], Awaitable[bool]]
    ) -> Response:
        try:
            wanted = msgspec.json.decode(body, type=NewsWanted)
        except msgspec.DecodeError as error:
            return refusal(400, str(error))
        after = wanted.after if wanted.boot == self._boot else 0
        for _ in range(round(LONGEST_HOLD / _LOOK_AT_RUNS)):
            if wanted.boot != self._boot or set(wanted.running) != set(_running(state)) or await is_disconnected():
                break
            if await state.written.wait(after, _LOOK_AT_RUNS):
                await asyncio.sleep(_GATHER)
                break
        running = _running(state)
        number, nodes = state.written.since(after)
        news = News(boot=self._boot, number=number, written=[str(node_id) for node_id in nodes], running=running)
        return Response(msgspec.json.encode(news), media_type="application/json")


def _state(request: Request) -> FleetLinkState:
    return request.app.state.linkstate_factory.state()


def _running(state: FleetLinkState) -> list[str]:
    return [str(run_id) for run_id in state.running()]


def _task(request: Request) -> Task | None:
    """As `flwr.supercore.dependencies.task` finds it."""
    tokens = request.headers.getlist(TASK_TOKEN_HEADER)
    return _state(request).get_task_by_token(tokens[0]) if len(tokens) == 1 and tokens[0] else None
