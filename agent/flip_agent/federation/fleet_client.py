"""Flower's Fleet API (protobuf over HTTP) as this device speaks it: each call either gives its answer or raises
`Unavailable` (the network, a busy or restarted hub, a clock: try again) or `Rejected` (the run has ended).

Calls block: use threads, any number at once. Pinned to flwr 1.41, whose internals only this module and `flower` touch.
"""

import hashlib
from collections.abc import Generator
from contextlib import contextmanager

import httpx
import msgspec
from flwr.common.serde import user_config_from_proto
from flwr.proto.fab_pb2 import GetFabRequest
from flwr.proto.fleet_pb2 import (
    ActivateNodeRequest,
    PullMessagesRequest,
    PushMessagesRequest,
    RegisterNodeFleetRequest,
)
from flwr.proto.heartbeat_pb2 import SendNodeHeartbeatRequest
from flwr.proto.message_pb2 import (
    ConfirmMessageReceivedRequest,
    ObjectTree,
    PullObjectRequest,
    PushObjectRequest,
)
from flwr.proto.message_pb2 import Message as MessageProto
from flwr.proto.node_pb2 import Node
from flwr.proto.run_pb2 import GetRunRequest
from flwr.supercore.protobuf.client import ProtobufCall, ProtobufRequestContext
from flwr.supernode.fleet_http_client import FleetHttpClient
from msgspec import Struct

from flip_agent.federation.flower import Fab, Instruction, Item, Reply, Run, instruction_of
from flip_agent.federation.node_auth import UNAUTHORIZED, NodeAuth
from flip_agent.federation.traffic import Traffic
from flip_agent.hub.tls import trusting
from flip_runtime.errors import Rejected, Unavailable
from flip_runtime.patience import retry_after

LEASE = 1800.0
"""Seconds; the most that Flower allows."""
_FIRST_LEASE = 30.0
"""Until its id is on disk: an active node cannot be activated again, so a lost answer must not bar us for long."""
HOLD = 30
"""Seconds that the gateway may hold an empty pull back."""
TIMEOUT = httpx.Timeout(HOLD + 30.0, connect=15.0)
"""Slow is not broken on a bad link; flwr's own limits are 30 s, and 5 s for a heartbeat."""


_REGISTERED_ALREADY = 412
# 401: this device's clock, or a hub that does not know it yet; a result is not thrown away for that
_HEALED_BY_TIME = frozenset({UNAUTHORIZED, 408, 425, 429})


class FleetClient:
    def __init__(
        self,
        address: str,
        auth: NodeAuth,
        ca: str,
        *,
        lease: float = LEASE,
        traffic: Traffic | None = None,
        hold: int | None = None,
    ) -> None:
        """`ca` is the hub's authority (PEM); without it: plain HTTP, for tests. `lease` as `federation.lease`;
        `traffic` counts each call; `hold` in the place of `HOLD`.

        Raises `ConfigError` when `ca` is no certificate.
        """
        self._public_key = auth.public_key
        self._lease = lease
        headers = _FleetHeaders(auth, traffic or Traffic(), HOLD if hold is None else hold)
        if ca:
            trusting(ca)  # it says what is wrong; flwr does not
        self._api = FleetHttpClient.from_server_address(address, not ca, ca.encode() or None, [headers])

    def close(self) -> None:
        self._api.close()

    # ---- being a node ----

    def join(self) -> str:
        """Registers and activates; the node's id. `renew` must follow soon."""
        with _translated("register"):
            try:
                self._api.RegisterNode(RegisterNodeFleetRequest(public_key=self._public_key))
            except httpx.HTTPStatusError as error:
                if error.response.status_code != _REGISTERED_ALREADY:
                    raise
        activate = ActivateNodeRequest(public_key=self._public_key, heartbeat_interval=_FIRST_LEASE)
        try:
            with _translated("activate"):
                return str(self._api.ActivateNode(activate).node_id)
        except Rejected as error:
            raise Unavailable(f"not activated: {error}", hint="an earlier activation may end in a minute") from error

    def renew(self, node_id: str) -> bool:
        """False when Flower does not know the node, as after a restart of the SuperLink: join again."""
        request = SendNodeHeartbeatRequest(node=_node(node_id), heartbeat_interval=self._lease)
        with _translated("heartbeat"):
            try:
                return self._api.SendNodeHeartbeat(request).success
            except httpx.HTTPStatusError as error:
                if error.response.status_code == UNAUTHORIZED:  # so it calls a node that it does not know
                    return False
                raise

    # ---- receiving ----

    def pull(self, node_id: str) -> Instruction | None:
        """The next message, which Flower hands out only once: keep it before anything else."""
        with _translated("pull"):
            answer = self._api.PullMessages(PullMessagesRequest(node=_node(node_id)))
        if not answer.messages_list:
            return None
        return instruction_of(answer.messages_list[0], answer.message_object_trees[0])

    def run(self, instruction: Instruction) -> Run:
        with _translated("run"):
            request = GetRunRequest(node=_node(instruction.node_id), run_id=int(instruction.run_id))
            run = self._api.GetRun(request).run
        overrides = user_config_from_proto(run.override_config)
        return Run(run_id=instruction.run_id, fab_hash=run.fab_hash, overrides=overrides)

    def fab(self, instruction: Instruction, fab_hash: str) -> Fab:
        with _translated("app"):
            node = _node(instruction.node_id)
            request = GetFabRequest(node=node, hash_str=fab_hash, run_id=int(instruction.run_id))
            fab = self._api.GetFab(request).fab
        return Fab(content=fab.content, verifications=dict(fab.verifications))

    def pull_object(self, instruction: Instruction, object_id: str) -> Item | None:
        """None while the ServerApp is still sending it to the hub."""
        with _translated("object"):
            request = PullObjectRequest(
                node=_node(instruction.node_id), run_id=int(instruction.run_id), object_id=object_id
            )
            answer = self._api.PullObject(request)
        if not answer.object_found:
            raise Rejected(f"object {object_id[:12]} is gone", hint="the run has ended")
        if not answer.object_available:
            return None
        if hashlib.sha256(answer.object_content).hexdigest() != object_id:
            raise Unavailable(f"object {object_id[:12]} was damaged on its way")
        return Item(object_id=object_id, content=answer.object_content)

    def confirm(self, instruction: Instruction) -> None:
        """Makes the hub drop its copy: only when everything lies here."""
        with _translated("confirm"):
            request = ConfirmMessageReceivedRequest(
                node=_node(instruction.node_id),
                run_id=int(instruction.run_id),
                message_object_id=instruction.message_id,
            )
            self._api.ConfirmMessageReceived(request)

    # ---- replying ----

    def push(self, instruction: Instruction, reply: Reply, seconds: float) -> tuple[str, list[str]]:
        """Announces the reply; gives an upload session and the objects that the hub lacks (none the second time)."""
        with _translated("push"):
            request = PushMessagesRequest(
                node=_node(instruction.node_id),
                messages_list=[MessageProto.FromString(reply.message)],
                message_object_trees=[ObjectTree.FromString(reply.tree)],
                clientapp_runtime_list=[seconds],
            )
            answer = self._api.PushMessages(request)
        return answer.session_id, list(answer.objects_to_push)

    def push_object(self, instruction: Instruction, session: str, item: Item) -> bool:
        """False when the hub does not wait for it in that session: it has it already, or the session has ended."""
        with _translated("push object"):
            request = PushObjectRequest(
                node=_node(instruction.node_id),
                run_id=int(instruction.run_id),
                object_id=item.object_id,
                object_content=item.content,
                session_id=session,
            )
            return self._api.PushObject(request).stored


class _FleetHeaders:
    """Signs each request, asks for a long poll, gives bad links time, and counts what passes."""

    def __init__(self, auth: NodeAuth, traffic: Traffic, hold: int) -> None:
        self._auth = auth
        self._traffic = traffic
        self._hold = str(hold)

    def intercept(self, context: ProtobufRequestContext, call_next: ProtobufCall) -> httpx.Response:
        context.request.extensions["timeout"] = TIMEOUT.as_dict()
        if context.rpc_method.endswith("/PullMessages"):
            context.request.headers["Flip-Wait"] = self._hold
        context.request.headers.update(self._auth.headers())
        with self._traffic.call(len(context.request.content)) as came:
            response = call_next(context)
            if self._auth.corrected(response.status_code, response.headers):
                context.request.headers.update(self._auth.headers())
                response = call_next(context)
            came(len(response.content))
        return response


@contextmanager
def _translated(call: str) -> Generator[None]:
    """Gives HTTP's errors as ours: by who must act."""
    try:
        yield
    except httpx.HTTPStatusError as error:
        status = error.response.status_code
        if status in _HEALED_BY_TIME or status >= 500 or not _is_flowers(error.response):
            raise Unavailable(f"{call}: HTTP {status}", retry_after=retry_after(error.response.headers)) from error
        raise Rejected(f"{call}: HTTP {status}: {error.response.text[:200]}") from error
    except (httpx.RequestError, ValueError) as error:  # ValueError: an answer that is no protobuf, as of a portal
        raise Unavailable(f"{call}: {error or type(error).__name__}") from error


class _Refusal(Struct):
    """As Flower answers (flwr.supercore.error); a portal, a proxy or our gateway says nothing of the run."""

    code: int


def _is_flowers(response: httpx.Response) -> bool:
    try:
        msgspec.json.decode(response.content, type=_Refusal)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return False
    return True


def _node(node_id: str) -> Node:
    return Node(node_id=int(node_id))
