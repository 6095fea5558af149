"""Flower's state of a SuperLink in memory, made for fleets: a node's messages are found among its own, and it is known
who was written to.

Flower looks for a node's next message among those of all nodes, at each pull. The answers are the same.
"""

import asyncio
import hashlib
import threading
from collections import OrderedDict, defaultdict
from collections.abc import Sequence
from typing import Any

from flwr.app import Message
from flwr.common.constant import SUPERLINK_NODE_ID, Status, SubStatus
from flwr.server.superlink.linkstate.in_memory_linkstate import InMemoryLinkState
from flwr.supercore.date import now
from flwr.supercore.inflatable.inflatable_object import iterate_object_tree
from flwr.supercore.object_store import NoObjectInStoreError
from flwr.supercore.run import RunStatus


class Written:
    """Numbers each writing, so that a reader that knows a number can ask which nodes were written to after it.

    `note` is called from any thread, while the state is locked; `since` and `wait` from the event loop.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._nodes: OrderedDict[int, int] = OrderedDict()
        self._count = 0
        self._waiter: tuple[asyncio.AbstractEventLoop, asyncio.Event] | None = None

    def note(self, node_id: int) -> None:
        with self._lock:
            self._count += 1
            self._nodes[node_id] = self._count
            self._nodes.move_to_end(node_id)
            waiter, self._waiter = self._waiter, None
        if waiter is not None:
            loop, event = waiter
            loop.call_soon_threadsafe(event.set)

    def since(self, number: int) -> tuple[int, list[int]]:
        """The number of the last writing, and the nodes written to after that one; with 0 all that ever were."""
        with self._lock:
            nodes: list[int] = []
            for node_id in reversed(self._nodes):
                if self._nodes[node_id] <= number:
                    break
                nodes.append(node_id)
            return self._count, nodes

    async def wait(self, number: int, seconds: float) -> bool:
        """Whether there is a later writing than that, at the latest after so long. For one reader: the last to wait."""
        event = asyncio.Event()
        with self._lock:
            if self._count > number:
                return True
            self._waiter = asyncio.get_running_loop(), event
        try:
            async with asyncio.timeout(seconds):
                await event.wait()
        except TimeoutError:
            return False
        return True


class FleetLinkState(InMemoryLinkState):
    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._boxes: defaultdict[int, OrderedDict[str, None]] = defaultdict(OrderedDict)
        """Of each node the messages that it was not given yet, in the order in which they were written."""
        self._ended: set[int] = set()
        self.written = Written()

    def create_node(self, owner_aid: str, owner_name: str, public_key: bytes, *rest: Any, **named: Any) -> int:
        """With an id that follows from its key: it is the same after a restart, so that what a strategy remembers of
        nodes, and the order of their replies, stays true."""
        with self.lock:
            drawn = super().create_node(owner_aid, owner_name, public_key, *rest, **named)
            node_id = node_id_of(public_key)
            if drawn == 0 or node_id in self.nodes:
                return drawn
            node = self.nodes.pop(drawn)
            node.node_id = node_id
            self.nodes[node_id] = node
            self.node_public_key_to_node_id[public_key] = node_id
            owned = self.owner_to_node_ids[owner_aid]
            owned.discard(drawn)
            owned.add(node_id)
        return node_id

    def store_message_ins(self, message: Message) -> str | None:
        with self.lock:
            known = message.metadata.message_id in self.message_ins_store
            message_id = super().store_message_ins(message)
            if message_id is not None and not known:
                node_id = message.metadata.dst_node_id
                self._boxes[node_id][message_id] = None
                self.written.note(node_id)
        return message_id

    def get_message_ins(self, node_id: int, limit: int | None, *, run_id: int | None = None) -> list[Message]:
        if limit is not None and limit < 1:
            raise AssertionError("`limit` must be >= 1")
        with self.lock:
            found: list[Message] = []
            for message_id in list(self._boxes.get(node_id, ())):
                self._check_stored_messages({message_id})  # deletes what has expired
                message = self.message_ins_store.get(message_id)
                if message is not None and run_id in (None, message.metadata.run_id):
                    found.append(message)
                    if len(found) == limit:
                        break
            for message in found:
                message.metadata.delivered_at = now().isoformat()
                self._forget(node_id, message.metadata.message_id)
        return found

    def delete_messages(self, message_ins_ids: set[str]) -> None:
        with self.lock:
            for message_id in message_ins_ids:
                message = self.message_ins_store.get(message_id)
                if message is not None:
                    self._forget(message.metadata.dst_node_id, message_id)
            super().delete_messages(message_ins_ids)

    def is_arriving(self, message_id: str) -> bool:
        """Whether its ServerApp is still sending objects of it. Were it dropped now, the sending would fail, and the
        run with it; a device that refuses an app confirms without the objects, and one may have got them all because
        another run sends the same."""
        with self._lock_object_push_sessions:
            session = self._object_push_sessions.get(self._object_push_session_by_root.get(message_id, ""))
            if session is None or session.expires_at <= now():
                return False
            try:
                tree = self.object_store.get_object_tree(message_id)
            except NoObjectInStoreError:
                return False
            return any(node.object_id in session.pending_object_ids for node in iterate_object_tree(tree))

    def get_run_status(self, run_ids: set[int]) -> dict[int, RunStatus]:
        """A run that is not known, such as one of before a restart, has ended: its devices hear what they hear of any
        that has."""
        gone = RunStatus(status=Status.FINISHED, sub_status=SubStatus.STOPPED, details="")
        return dict.fromkeys(run_ids, gone) | super().get_run_status(run_ids)

    def running(self) -> Sequence[int]:
        """The runs whose devices are answered (`flwr.supercore.utils.check_abort`)."""
        with self.lock:
            statuses = self.get_run_status(set(self.run_ids) - self._ended)
        self._ended.update(run_id for run_id, found in statuses.items() if found.status == Status.FINISHED)
        return [run_id for run_id, found in statuses.items() if found.status == Status.RUNNING]

    def _forget(self, node_id: int, message_id: str) -> None:
        box = self._boxes.get(node_id)
        if box is not None:
            box.pop(message_id, None)
            if not box:
                del self._boxes[node_id]


def node_id_of(public_key: bytes) -> int:
    """64 bits, none of which is Flower's for the SuperLink itself or for nobody."""
    return max(int.from_bytes(hashlib.sha256(public_key).digest()[:8], "big"), SUPERLINK_NODE_ID + 1)
