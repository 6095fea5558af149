"""Flower's own handlers of calls, without the layers that Flower puts around them: what the fast lane calls.

Of the Fleet API all of them, for the gateway; of the Runtime API the few that a ServerApp makes for each object of
each reply. Answers and refusals are the same; one is added: a message is not confirmed while it is being sent.
"""

import logging
from base64 import b64decode
from collections.abc import Callable
from http import HTTPStatus
from typing import Any

import msgspec
from flwr.proto.fleet_pb2 import ActivateNodeRequest, RegisterNodeFleetRequest
from flwr.proto.message_pb2 import ConfirmMessageReceivedRequest, PullObjectRequest, PushObjectRequest
from flwr.proto.task_pb2 import Task
from flwr.supercore.error import FlowerError
from flwr.supercore.error.catalog import API_ERROR_MAP
from flwr.supercore.protobuf.translation import PROTOBUF_REQUEST_TYPES
from flwr.superlink.servicer.fleet import fleet_handlers
from flwr.superlink.servicer.runtime import runtime_handlers
from google.protobuf.message import DecodeError, Message
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from flip_hub.federation.fleet_link_state import FleetLinkState

log = logging.getLogger("flwr.flip")

_LARGE = 2**16
"""Bytes of a body that is not worked on in the event loop."""

Handler = Callable[[Any, FleetLinkState], Message]

_FLEET: dict[str, Handler] = {
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
_RUNTIME: dict[str, tuple[type[Message], Callable[[Any, FleetLinkState, Task], Message]]] = {
    "/v1/runtime/pull-object": (PullObjectRequest, runtime_handlers.pull_object),
    "/v1/runtime/push-object": (PushObjectRequest, runtime_handlers.push_object),
    "/v1/runtime/confirm-message-received": (
        ConfirmMessageReceivedRequest,
        runtime_handlers.confirm_message_received,
    ),
}
RUNTIME_PATHS = frozenset(_RUNTIME)


async def fleet_call(state: FleetLinkState, method: str, key: bytes, body: bytes) -> Response:
    """`key`: the header that names the device's public key, whose signature has been checked."""
    kind = PROTOBUF_REQUEST_TYPES.get(("POST", f"/v1/fleet/{method}"))
    if kind is None:
        return refusal(404, "Not Found")
    try:
        message, public_key = kind.FromString(body), b64decode(key, validate=True)
    except (DecodeError, ValueError) as error:
        return refusal(400, str(error))
    if not _speaks_for_itself(state, message, public_key):
        return refusal(401, "Invalid SuperNode authentication")
    if isinstance(message, ConfirmMessageReceivedRequest) and state.is_arriving(message.message_object_id):
        return refusal(HTTPStatus.TOO_EARLY, "the message is still being sent")
    return await _answer(method, _FLEET[method], message, state, len(body))


async def runtime_call(state: FleetLinkState, path: str, task: Task, body: bytes) -> Response:
    """`task`: whose token the caller has shown."""
    kind, handle = _RUNTIME[path]
    try:
        message = kind.FromString(body)
    except DecodeError as error:
        return refusal(400, str(error))
    return await _answer(path, lambda message, state: handle(message, state, task), message, state, len(body))


def refusal(status: int, detail: str) -> Response:
    return Response(msgspec.json.encode({"detail": detail}), status, media_type="application/json")


async def _answer(call: str, handle: Handler, message: Message, state: FleetLinkState, size: int) -> Response:
    try:
        answer = await run_in_threadpool(handle, message, state) if size > _LARGE else handle(message, state)
    except FlowerError as error:
        said = API_ERROR_MAP[error.code]
        log.info("[%s][ApiError:%s] %s", call, error.code, error.message)
        content = msgspec.json.encode(error.to_json(said.public_message))
        return Response(content, said.http_status_code, said.http_headers, media_type="application/json")
    return Response(answer.SerializeToString(), media_type="application/protobuf")


def _speaks_for_itself(state: FleetLinkState, message: Any, key: bytes) -> bool:
    """As `flwr.superlink.routers.fleet.node_auth` sees it."""
    if isinstance(message, RegisterNodeFleetRequest | ActivateNodeRequest):
        return message.public_key == key
    node_id = message.node.node_id if hasattr(message, "node") else message.node_id
    return state.get_node_id_by_public_key(key) == node_id
