"""What a round collects lies on disk: one reply is fetched at a time, and one array is in memory when it is read."""

import gc
from collections.abc import Iterable
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
from flwr.app import Array, ArrayRecord, ConfigRecord, Message, MetricRecord, RecordDict
from flwr.app.message import remove_content_from_message
from flwr.app.message.arraychunk import ArrayChunk
from flwr.common.serde import message_to_proto
from flwr.proto.message_pb2 import ConfirmMessageReceivedResponse, PullObjectResponse
from flwr.proto.runtime_pb2 import PullAppMessagesRequest, PullAppMessagesResponse
from flwr.serverapp.strategy import FedMedian
from flwr.supercore.inflatable.inflatable_object import get_all_nested_objects, get_object_tree
from flwr.supercore.inflatable.inflatable_utils import push_objects
from flwr.supercore.run import Run
from flwr.superlink.grid.http_grid import HttpGrid

from bench.simulation import SimulatedClock, SimulatedGrid, be_a_server_app
from flip_hub.federation.aggregator.fetching import fetching_of
from flip_hub.federation.aggregator.pushing import chunk_by_chunk
from flip_hub.federation.aggregator.spool import SUFFIX, Spool
from flip_hub.federation.aggregator.strategies.lazy_array import LazyArray, size_of
from flip_hub.federation.aggregator.strategies.weighted_mean import aggregate_arrayrecords

LARGE = 100_000
"""Entries of a tensor that is not small."""


@pytest.fixture(autouse=True)
def server_app() -> None:
    be_a_server_app()


def reply_of(node: int, entries: int = LARGE) -> Message:
    instruction = Message(RecordDict({"config": ConfigRecord()}), dst_node_id=node, message_type="train")
    instruction.metadata.__dict__["_message_id"] = f"m{node}"
    draw = np.random.default_rng(node)
    arrays = ArrayRecord({"w": Array(draw.normal(size=(entries, 1)).astype("f4")), "b": Array(np.arange(3.0) * node)})
    metrics = MetricRecord({"num-examples": node})
    return Message(RecordDict({"arrays": arrays, "metrics": metrics}), reply_to=instruction)


def arrays_of(reply: Message) -> ArrayRecord:
    return cast(ArrayRecord, reply.content["arrays"])


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.glob(f"*{SUFFIX}"))


def test_a_large_reply_is_the_same_from_disk_and_gone_with_its_last_reference(tmp_path: Path) -> None:
    spool, reply, expected = Spool(tmp_path), reply_of(7), reply_of(7)
    assert spool.put(reply) is reply
    arrays = arrays_of(reply)
    assert all(isinstance(array, LazyArray) for array in arrays.values())
    for name, array in arrays_of(expected).items():
        assert Array(array.dtype, array.shape, arrays[name].stype, arrays[name].data) == array
    assert files(tmp_path) == [f"m7-1{SUFFIX}"]
    kept = arrays["w"]  # a strategy may keep whatever it likes
    del reply, arrays
    gc.collect()
    assert files(tmp_path) == [f"m7-1{SUFFIX}"]
    assert kept.numpy().shape == (LARGE, 1)
    del kept
    gc.collect()
    assert files(tmp_path) == []


def test_a_small_reply_and_one_without_content_stay_as_they_are(tmp_path: Path) -> None:
    small = Spool(tmp_path).put(reply_of(3, entries=10))
    assert type(arrays_of(small)["w"]) is Array
    assert files(tmp_path) == []


def test_without_room_on_the_disk_replies_stay_in_memory(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    spool = Spool(tmp_path)
    for number, node in enumerate((7, 8), 1):
        (tmp_path / f"m{node}-{number}{SUFFIX}").symlink_to("/dev/full")
        assert type(arrays_of(spool.put(reply_of(node)))["w"]) is Array
    assert files(tmp_path) == []
    assert [record.message for record in caplog.records if "stay in memory" in record.message] == [
        "replies stay in memory: [Errno 28] No space left on device"
    ]


def test_what_a_process_that_died_has_left_is_removed(tmp_path: Path) -> None:
    (tmp_path / f"m1-1{SUFFIX}").write_bytes(b"half a re")
    (tmp_path / "1-000001-done.checkpoint").write_bytes(b"of somebody else")
    Spool(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["1-000001-done.checkpoint"]


def test_strategies_compute_the_same_from_disk(tmp_path: Path) -> None:
    replies, spool = [reply_of(node) for node in (1, 2, 3)], Spool(tmp_path)
    mean = aggregate_arrayrecords([reply.content for reply in replies], "num-examples")
    spooled = [spool.put(reply_of(node)) for node in (1, 2, 3)]
    assert aggregate_arrayrecords([reply.content for reply in spooled], "num-examples") == mean
    median = [FedMedian().aggregate_train(1, each)[0] for each in (replies, spooled)]
    assert median[0] == median[1]


class SuperLink:
    """What an `HttpGrid` asks of one that has replies ready."""

    def __init__(self, replies: Iterable[Message]) -> None:
        self.calls: list[str] = []
        self._ready: list[tuple[Any, Any]] = []
        self.objects: dict[str, bytes] = {}
        self.on_their_way: set[str] = set()
        for reply in replies:
            reply.metadata.__dict__["_message_id"] = reply.object_id
            objects = get_all_nested_objects(reply)
            self.objects |= {name: each.deflate() for name, each in objects.items()}
            self._ready.append((message_to_proto(remove_content_from_message(reply)), get_object_tree(reply)))

    def PullMessages(self, request: PullAppMessagesRequest) -> PullAppMessagesResponse:
        self.calls.append("look")
        self.looked_for = list(request.message_ids)
        wanted = [each for each in self._ready if each[0].metadata.reply_to_message_id in request.message_ids]
        self._ready = [each for each in self._ready if each not in wanted]
        return PullAppMessagesResponse(
            messages_list=[message for message, _ in wanted], message_object_trees=[tree for _, tree in wanted]
        )

    def PullObject(self, request: Any) -> PullObjectResponse:
        self.calls.append("object")
        if request.object_id in self.on_their_way:
            return PullObjectResponse(object_found=True, object_available=False)
        content = self.objects.get(request.object_id)
        if content is None:
            return PullObjectResponse(object_found=False)
        return PullObjectResponse(object_found=True, object_available=True, object_content=content)

    def ConfirmMessageReceived(self, request: Any) -> ConfirmMessageReceivedResponse:
        self.calls.append("confirmed")
        return ConfirmMessageReceivedResponse()


def grid_to(superlink: SuperLink) -> HttpGrid:
    grid: Any = HttpGrid(token="token")
    grid._client = superlink
    grid._run = Run.create_empty(1)
    return grid


def test_of_replies_that_are_ready_one_is_fetched_after_the_other_by_one_look(tmp_path: Path) -> None:
    superlink = SuperLink(reply_of(node, 10) for node in (1, 2, 3))
    pull = fetching_of(grid_to(superlink), Spool(tmp_path))
    seen: list[list[str]] = []
    for reply in pull(["m1", "m2", "m3", "m4"]):
        assert arrays_of(reply)["w"].numpy().shape == (10, 1)
        seen.append([call for call in superlink.calls if call != "object"])
    assert seen == [["look", *["confirmed"] * count] for count in (1, 2, 3)]
    assert list(pull(["m4"])) == []
    assert superlink.calls.count("look") == 2


@pytest.mark.parametrize("kind", [Message, ArrayChunk], ids=["its head", "a chunk"])
def test_a_reply_that_its_device_is_still_sending_holds_up_no_other_one(tmp_path: Path, kind: type) -> None:
    slow, prompt = reply_of(1), reply_of(2)
    superlink = SuperLink([slow, prompt])
    lacking = [name for name, each in get_all_nested_objects(slow).items() if isinstance(each, kind)]
    superlink.on_their_way = set(lacking)
    pull = fetching_of(grid_to(superlink), Spool(tmp_path))
    assert [reply.metadata.reply_to_message_id for reply in pull(["m1", "m2"])] == ["m2"]
    superlink.calls.clear()
    assert list(pull(["m1"])) == []
    assert superlink.calls == ["object", "look"], "only what was not there is asked for"
    superlink.on_their_way.clear()
    (reply,) = pull(["m1", "m2"])
    assert reply.metadata.reply_to_message_id == "m1"
    assert superlink.looked_for == ["m2"], "Flower would say that the other one is lost: it has told of it"
    assert arrays_of(reply)["w"].numpy().tobytes() == arrays_of(slow)["w"].numpy().tobytes()
    assert list(pull(["m1"])) == []


def test_a_reply_of_which_the_rest_will_never_come_fails_alone(tmp_path: Path) -> None:
    superlink = SuperLink([reply_of(1), reply_of(2)])
    lacking = [name for name, each in get_all_nested_objects(reply_of(1)).items() if isinstance(each, ArrayChunk)]
    superlink.on_their_way = set(lacking)
    pull = fetching_of(grid_to(superlink), Spool(tmp_path))
    assert len(list(pull(["m1", "m2"]))) == 1
    for name in lacking:
        superlink.on_their_way.discard(name)
        del superlink.objects[name]
    (failed,) = pull(["m1"])
    assert failed.has_error()
    assert "objects are unavailable" in (failed.error.reason or "")


def fetched(superlink: SuperLink, folder: Path) -> Message:
    (reply,) = fetching_of(grid_to(superlink), Spool(folder))(["m1"])
    return reply


def test_a_fetched_reply_is_the_same_as_flowers_own_with_its_names_and_lies_on_the_disk(tmp_path: Path) -> None:
    zeros = Array(np.zeros(3_000_000, "f4"))  # chunks that are the same
    sent = reply_of(1)
    sent.content.array_records["arrays"]["z"] = zeros
    (flowers,) = grid_to(SuperLink([sent])).pull_messages(["m1"])
    ours = fetched(SuperLink([sent]), tmp_path)
    assert len(files(tmp_path)) == 1
    assert ours.metadata.__dict__ == flowers.metadata.__dict__
    assert ours.content["metrics"] == flowers.content["metrics"]
    assert arrays_of(ours).object_id == arrays_of(flowers).object_id == arrays_of(sent).object_id
    assert list(arrays_of(ours)) == list(arrays_of(flowers))
    for name, array in arrays_of(flowers).items():
        assert isinstance(arrays_of(ours)[name], LazyArray)
        assert arrays_of(ours)[name].data == array.data
        assert size_of(arrays_of(ours)[name]) == len(array.data)


@pytest.mark.parametrize("which", ["ArrayChunk", "Array", "ArrayRecord", "MetricRecord"])
def test_a_reply_that_was_damaged_on_its_way_fails_alone(tmp_path: Path, which: str) -> None:
    superlink = SuperLink([reply_of(1)])
    name = next(name for name, content in superlink.objects.items() if content.startswith(f"{which} ".encode()))
    superlink.objects[name] = superlink.objects[name][:-1] + b"!"
    reply = fetched(superlink, tmp_path)
    assert "not what its name says" in str(reply.error.reason)
    assert reply.metadata.reply_to_message_id == "m1"
    assert superlink.calls[-1] == "confirmed"


def test_a_chunk_that_comes_again_and_again_makes_no_more_of_an_array_than_its_shape(tmp_path: Path) -> None:
    reply = reply_of(1)
    array = arrays_of(reply)["w"]
    array.__dict__["_chunks"] = array.slice_array() * 1000
    assert "is larger than its shape" in str(fetched(SuperLink([reply]), tmp_path).error.reason)
    assert files(tmp_path) == []


def test_a_model_is_sent_chunk_by_chunk_and_what_is_known_not_at_all() -> None:
    message = Message(
        RecordDict({"arrays": ArrayRecord({"w": Array(np.arange(4e6))})}), dst_node_id=1, message_type="train"
    )
    objects = get_all_nested_objects(message)
    chunks = [name for name, each in objects.items() if isinstance(each, ArrayChunk)]
    assert len(chunks) == 7
    wanted = set(objects) - {chunks[0]}
    sent: dict[str, bytes] = {}
    expected = {name: objects[name].deflate() for name in wanted}
    chunk_by_chunk(push_objects)(objects, sent.__setitem__, object_ids_to_push=wanted)
    assert sent == expected
    assert list(sent)[:6] == chunks[1:]


def test_another_grid_is_asked_as_ever() -> None:
    grid = SimulatedGrid(SimulatedClock(), [1], lambda _: 0.0, lambda message: message)
    ids = grid.push_messages([Message(RecordDict(), dst_node_id=1, message_type="train")])
    assert len(list(fetching_of(grid, None)(ids))) == 1
