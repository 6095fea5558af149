"""The hub's own way to the SuperLink, in the SuperLink's process: Flower's Fleet calls without what the gateway has
done already, and the news of who was written to.

Flower answers a call in 4 ms, nearly all of which it spends in ten layers of middleware and on the device's signature.
The gateway has checked that signature; here is checked that the gateway asks (it shows the hub's internal secret), and
that the node belongs to the key. The calls themselves are Flower's (`fleet_handlers`), and so are their errors.
"""

import asyncio
import hmac
import logging
import secrets
from base64 import b64decode
from collections.abc import Callable
from typing import Any

import msgspec
from flwr.proto.fleet_pb2 import ActivateNodeRequest, RegisterNodeFleetRequest
from flwr.supercore.error import FlowerError
from flwr.supercore.error.catalog import API_ERROR_MAP
from flwr.supercore.protobuf.translation import PROTOBUF_REQUEST_TYPES
from flwr.superlink.servicer.fleet import fleet_handlers
from google.protobuf.message import DecodeError, Message
from msgspec import Struct
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from flip_hub.federation.fleet_link_state import FleetLinkState

log = logging.getLogger("flwr.flip")

LANE = "/v1/flip/fleet/"
NEWS = "/v1/flip/news"
FLOWERS = "/v1/fleet/"
LONGEST_HOLD = 5.0
"""Seconds that news are waited for; an answer without any says that there are none."""
_LOOK_AT_RUNS = 0.5
"""Seconds; looking takes 30 us."""
_GATHER = 0.005
"""Seconds: a ServerApp writes to many nodes at once."""
_LARGE = 2**16
"""Bytes of a body that is not worked on in the event loop."""


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
    """The outermost ASGI middleware; everything else is passed on to Flower."""

    def __init__(self, app: Any, secret: str) -> None:
        self._app = app
        self._secret = f"Bearer {secret}".encode()
        self._boot = secrets.token_hex(8)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        path = scope.get("path", "")
        if scope["type"] != "http" or not (path == NEWS or path.startswith(LANE)):
            answer = self._app
        else:
            answer = await self._answer(Request(scope, receive), path)
        await answer(scope, receive, send)

    async def _answer(self, request: Request, path: str) -> Response:
        if not hmac.compare_digest(request.headers.get("authorization", "").encode(), self._secret):
            return _refusal(401, "this is the hub's own way")
        state: FleetLinkState = request.app.state.linkstate_factory.state()
        body = await request.body()
        if path == NEWS:
            return await self._news(state, body)
        return await _fleet_call(state, request, path.removeprefix(LANE), body)

    async def _news(self, state: FleetLinkState, body: bytes) -> Response:
        try:
            wanted = msgspec.json.decode(body, type=NewsWanted)
        except msgspec.DecodeError as error:
            return _refusal(400, str(error))
        after = wanted.after if wanted.boot == self._boot else 0
        for _ in range(round(LONGEST_HOLD / _LOOK_AT_RUNS)):
            if wanted.boot != self._boot or set(wanted.running) != set(_running(state)):
                break
            if await state.written.wait(after, _LOOK_AT_RUNS):
                await asyncio.sleep(_GATHER)
                break
        running = _running(state)
        number, nodes = state.written.since(after)
        news = News(boot=self._boot, number=number, written=[str(node_id) for node_id in nodes], running=running)
        return Response(msgspec.json.encode(news), media_type="application/json")


def _running(state: FleetLinkState) -> list[str]:
    return [str(run_id) for run_id in state.running()]


async def _fleet_call(state: FleetLinkState, request: Request, method: str, body: bytes) -> Response:
    kind = PROTOBUF_REQUEST_TYPES.get(("POST", FLOWERS + method))
    if kind is None or request.method != "POST":
        return _refusal(404, "Not Found")
    try:
        message = kind.FromString(body)
        key = b64decode(request.headers["flwr-public-key"], validate=True)
    except (DecodeError, KeyError, ValueError) as error:
        return _refusal(400, str(error))
    if not _speaks_for_itself(state, message, key):
        return _refusal(401, "Invalid SuperNode authentication")
    handle = _HANDLERS[method]
    try:
        answer = await run_in_threadpool(handle, message, state) if len(body) > _LARGE else handle(message, state)
    except FlowerError as error:
        said = API_ERROR_MAP[error.code]
        log.info("[%s][ApiError:%s] %s", method, error.code, error.message)
        content = msgspec.json.encode(error.to_json(said.public_message))
        return Response(content, said.http_status_code, said.http_headers, media_type="application/json")
    return Response(answer.SerializeToString(), media_type="application/protobuf")


def _speaks_for_itself(state: FleetLinkState, message: Any, key: bytes) -> bool:
    """As `flwr.superlink.routers.fleet.node_auth` sees it."""
    if isinstance(message, RegisterNodeFleetRequest | ActivateNodeRequest):
        return message.public_key == key
    node_id = message.node.node_id if hasattr(message, "node") else message.node_id
    return state.get_node_id_by_public_key(key) == node_id


_HANDLERS: dict[str, Callable[[Any, FleetLinkState], Message]] = {
    "register-node": lambda message, state: fleet_handlers.register_node(message, state, False),
    "activate-node": fleet_handlers.activate_node,
    "deactivate-node": fleet_handlers.deactivate_node,
    "unregister-node": lambda message, state: fleet_handlers.unregister_node(message, state, False),
    "send-node-heartbeat": fleet_handlers.send_node_heartbeat,
    "pull-messages": lambda message, state: fleet_handlers.pull_messages(message, state, state.object_store),
    "push-messages": fleet_handlers.push_messages,
    "get-run": fleet_handlers.get_run,
    "get-fab": fleet_handlers.get_fab,
    "push-object": fleet_handlers.push_object,
    "pull-object": fleet_handlers.pull_object,
    "confirm-message-received": lambda message, state: fleet_handlers.confirm_message_received(
        message, state, state.object_store
    ),
}


def _refusal(status: int, detail: str) -> Response:
    return Response(msgspec.json.encode({"detail": detail}), status, media_type="application/json")
