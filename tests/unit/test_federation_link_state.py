"""Our state of the SuperLink gives each node what Flower's gives it, in the same order; it knows who was written to."""

import asyncio
import hashlib
import random
import threading
import time

import pytest
from flwr.app import Message, Metadata, RecordDict
from flwr.app.message import make_message
from flwr.common.constant import NOOP_FLWR_AID, SUPERLINK_NODE_ID
from flwr.server.superlink.linkstate.in_memory_linkstate import InMemoryLinkState
from flwr.supercore.constant import NOOP_FEDERATION_ID, TaskType
from flwr.supercore.object_store import ObjectStoreFactory
from flwr.superlink.federation import NoOpFederationManager

from flip_hub.federation.fleet_link_state import FleetLinkState, Written

NODES = 4


class Side:
    """One state, with a run and some nodes, by their numbers."""

    def __init__(self, kind: type[InMemoryLinkState]) -> None:
        self.state = kind(NoOpFederationManager(), ObjectStoreFactory(":flwr-in-memory:").store())
        self.nodes = [self.state.create_node(NOOP_FLWR_AID, "", f"{n}".encode(), 60.0) for n in range(NODES)]
        for node_id in self.nodes:
            assert self.state.activate_node(node_id, 60.0)
        self.run_id = self.state.create_run(
            "a/b", "1", "", {}, NOOP_FEDERATION_ID, None, NOOP_FLWR_AID, primary_task_type=TaskType.SERVER_APP
        )

    def write(self, name: str, node: int) -> None:
        assert self.state.store_message_ins(self._message(name, node)) is not None

    def expire(self, name: str) -> None:
        message = self.state.message_ins_store.get(_id(name))
        if message is not None:
            message.metadata.__dict__["_created_at"] = 0.0

    def pull(self, node: int, limit: int | None) -> list[str]:
        return [each.metadata.message_id for each in self.state.get_message_ins(self.nodes[node], limit)]

    def _message(self, name: str, node: int) -> Message:
        metadata = Metadata(
            run_id=self.run_id,
            message_id=_id(name),
            src_node_id=SUPERLINK_NODE_ID,
            dst_node_id=self.nodes[node],
            reply_to_message_id="",
            group_id="",
            created_at=time.time(),
            ttl=3600.0,
            message_type="train",
        )
        return make_message(metadata=metadata, content=RecordDict())


def _id(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()


@pytest.mark.parametrize("seed", range(5))
def test_each_node_is_given_the_same_as_by_flowers_own(seed: int) -> None:
    draw, ours, flowers = random.Random(seed), Side(FleetLinkState), Side(InMemoryLinkState)
    names: list[str] = []
    expired: list[str] = []
    for step in range(300):
        node, limit = draw.randrange(NODES), draw.choice([1, 1, 2, None])
        match draw.choice(["write", "write", "write", "pull", "delete", "expire"]):
            case "write":
                again = names[-1:] if names[-1:] != expired[-1:] else []
                name = draw.choice([f"{step}", *again])
                names.append(name)
                for side in (ours, flowers):
                    side.write(name, node)
            case "pull":
                assert ours.pull(node, limit) == flowers.pull(node, limit)
            case "delete":
                gone = {_id(name) for name in draw.sample(names, min(2, len(names)))}
                for side in (ours, flowers):
                    side.state.delete_messages(gone)
            case _ if names:
                expired.append(names[-1])  # its id, which is the hash of all that it says, is not written again
                for side in (ours, flowers):
                    side.expire(names[-1])
            case _:
                pass
    assert [ours.pull(node, None) for node in range(NODES)] == [flowers.pull(node, None) for node in range(NODES)]


def test_who_was_written_to_is_numbered() -> None:
    written = Written()
    for node_id in (1, 2, 1):
        written.note(node_id)
    assert written.since(0) == (3, [1, 2])
    assert written.since(2) == (3, [1])
    assert written.since(3) == (3, [])


@pytest.mark.asyncio
async def test_whoever_waits_is_told_of_what_another_thread_writes() -> None:
    written = Written()
    assert not await written.wait(0, 0.01)
    waiting = asyncio.create_task(written.wait(0, 30.0))
    await asyncio.sleep(0)
    threading.Thread(target=written.note, args=(7,)).start()
    assert await waiting
    assert await written.wait(0, 30.0), "what was written before the wait counts, too"
