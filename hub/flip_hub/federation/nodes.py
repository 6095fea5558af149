"""Which nodes the SuperLink takes for online, as the hub asks its process (`superlink_process`) and what that does.

Flower activates a node only with its key's signature, and lets no ServerApp see or write to one that is not active.
So the hub brings the nodes of devices that can be woken online in their place, for as long as waking may take, and
takes those offline whose device is gone. A lease that a device holds itself is never shortened by the former.
"""

import time
from collections.abc import Sequence
from http import HTTPStatus

import msgspec
from flwr.common.constant import HEARTBEAT_PATIENCE, NOOP_ACCOUNT_NAME, NOOP_FLWR_AID
from flwr.server.superlink.linkstate import LinkState
from msgspec import Struct

from flip_hub.federation.upstream import Upstream
from flip_runtime.errors import Unavailable

PATH = "/v1/flip/nodes"
AT_ONCE = 1000
"""Keys in one request, of some 220 bytes; the SuperLink takes 20 to 35 us for each."""


class NodesWanted(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Keys are PEM, byte for byte as the device signs with them."""

    online: list[str] = []
    offline: list[str] = []
    lease: float = 0.0
    """Seconds that those online stay so at least."""


class NodesOnline(Struct, frozen=True, kw_only=True):
    ids: list[str]
    """In the order of the keys."""


class Nodes:
    def __init__(self, upstream: Upstream) -> None:
        self._upstream = upstream

    async def online(self, keys: Sequence[str], lease: float) -> list[str]:
        """Registers and activates; the nodes' ids. Raises `Unavailable` when the SuperLink is away."""
        ids: list[str] = []
        for start in range(0, len(keys), AT_ONCE):
            ids += await self._ask(NodesWanted(online=list(keys[start : start + AT_ONCE]), lease=lease))
        return ids

    async def offline(self, keys: Sequence[str]) -> None:
        """What was sent to these nodes gets Flower's error reply. Raises `Unavailable`."""
        for start in range(0, len(keys), AT_ONCE):
            await self._ask(NodesWanted(offline=list(keys[start : start + AT_ONCE])))

    async def _ask(self, wanted: NodesWanted) -> list[str]:
        answer = await self._upstream.ask(PATH, {}, msgspec.json.encode(wanted))
        if answer.status != HTTPStatus.OK:
            raise Unavailable(f"the SuperLink does not take nodes: HTTP {answer.status}", hint="see superlink.log")
        return msgspec.json.decode(answer.body, type=NodesOnline).ids


def set_nodes(state: LinkState, wanted: NodesWanted) -> NodesOnline:
    """The SuperLink's side."""
    for key in wanted.offline:
        node_id = state.get_node_id_by_public_key(key.encode())
        if node_id is not None:
            state.deactivate_node(node_id)
    ids = [_registered(state, key.encode()) for key in wanted.online]
    interval = wanted.lease / HEARTBEAT_PATIENCE
    active = [node_id for node_id in ids if not state.activate_node(node_id, interval)]
    until = time.time() + wanted.lease
    for node in state.get_node_info(node_ids=active):
        if node.online_until < until:
            state.acknowledge_node_heartbeat(node.node_id, interval)
    return NodesOnline(ids=[str(node_id) for node_id in ids])


def _registered(state: LinkState, key: bytes) -> int:
    node_id = state.get_node_id_by_public_key(key)
    return state.create_node(NOOP_FLWR_AID, NOOP_ACCOUNT_NAME, key, 0) if node_id is None else node_id
