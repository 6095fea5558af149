"""Replies that travel packed, or without what is the device's own: no app and no strategy notices."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

import numpy as np
import pytest
from flwr.app import Array, ArrayRecord, ConfigRecord, Context, Message, MetricRecord, RecordDict
from flwr.clientapp.typing import Mod
from flwr.supercore.inflatable.inflatable_object import get_all_nested_objects
from flwr.supercore.task_identity import TaskIdentity
from numpy.typing import NDArray

from flip_agent.federation.flower import context, context_state, flatten, inflate
from flip_agent.federation.mods.local_parts import OWN, LocalParts
from flip_agent.federation.mods.packed_update import RESIDUAL, PackedUpdate
from flip_hub.federation.aggregator.unpacking import Unpacking
from flip_runtime.errors import Rejected
from flip_wire.terms import PACKED, PACKED_WHOLE, UpdateForm

Model = Mapping[str, NDArray[Any]]
Train = Callable[[Model], Model]

INT8, INT4, HALF = UpdateForm(codec="int8"), UpdateForm(codec="int4"), UpdateForm(codec="topk", share=0.5)
MODEL = {
    "body.weight": np.linspace(-1, 1, 60, dtype=np.float32).reshape(6, 10),
    "norm.steps": np.array(4, np.int64),
    "head.weight": np.ones((3, 6), np.float32),
}


@pytest.fixture(autouse=True)
def task(monkeypatch: pytest.MonkeyPatch) -> None:
    """Flower's messages name the run of the process that they are made in."""
    for name in ("_run_id", "_node_id", "_task_id"):
        monkeypatch.setattr(TaskIdentity, name, 1)


class Device:
    """Its worker: each message finds the state that the one before has left, and travels as objects."""

    def __init__(self, train: Train) -> None:
        self._train = train
        self.state = b""
        self.seen: list[Model] = []
        self.states_seen: list[set[str]] = []

    def answer(self, asked: RecordDict, mods: Sequence[Mod], kind: str = "train") -> Message:
        message = Message(asked, dst_node_id=5, message_type=kind)
        message.metadata.__dict__["_message_id"] = message.object_id
        objects = {key: item.deflate() for key, item in get_all_nested_objects(message).items()}
        around = context(run_id="1", node_id="5", node_config={}, run_config={}, state=self.state)
        instruction = inflate(message.object_id, objects)
        reply = self._through(list(mods), instruction, around)
        _, items = flatten(reply, instruction, 1.0)
        contents = {item.object_id: item.content for item in items}
        self.state = context_state(around)
        return inflate(reply.object_id, contents)

    def _through(self, mods: list[Mod], message: Message, around: Context) -> Message:
        if mods:
            return mods[0](message, around, lambda inner, context: self._through(mods[1:], inner, context))
        return self._app(message, around)

    def _app(self, message: Message, around: Context) -> Message:
        arrays = cast(ArrayRecord, message.content["arrays"])
        given = {name: array.numpy() for name, array in arrays.items()}
        arrays.clear()  # as apps do that save memory
        self.seen.append(given)
        self.states_seen.append(set(around.state))
        metrics = MetricRecord({"num-examples": 10})
        if message.metadata.message_type == "evaluate":
            return Message(RecordDict({"metrics": metrics}), reply_to=message)
        return Message(RecordDict({"arrays": record(self._train(given)), "metrics": metrics}), reply_to=message)


def record(model: Model) -> ArrayRecord:
    return ArrayRecord({name: Array(array) for name, array in model.items()})


def instruction(model: Model = MODEL) -> RecordDict:
    return RecordDict({"arrays": record(model), "config": ConfigRecord({"server-round": 1})})


def plus(step: float) -> Train:
    return lambda model: {name: np.asarray(array + step, array.dtype) for name, array in model.items()}


def values(message: Message) -> dict[str, NDArray[Any]]:
    return {name: array.numpy() for name, array in message.content.array_records["arrays"].items()}


# ---- packed ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", [INT8, INT4, HALF], ids=lambda form: form.codec)
def test_a_packed_reply_is_whole_again_on_the_hub_and_its_metrics_are_untouched(form: UpdateForm) -> None:
    sent = Device(plus(1)).answer(instruction(), [PackedUpdate(form)])
    assert list(cast(ConfigRecord, sent.content["arrays"])) == [PACKED]
    unpacked = Unpacking(instruction()).unpack(sent)
    assert unpacked.content.metric_records["metrics"]["num-examples"] == 10
    assert [(n, a.dtype, a.shape) for n, a in values(unpacked).items()] == [
        (n, a.dtype, a.shape) for n, a in MODEL.items()
    ]
    assert values(unpacked)["norm.steps"] == 5


def test_what_a_form_leaves_out_comes_with_the_next_reply_and_no_app_sees_it() -> None:
    device = Device(plus(0.3))
    device.answer(instruction(), [PackedUpdate(HALF)])
    sent = Unpacking(instruction()).unpack(device.answer(instruction(), [PackedUpdate(HALF)]))
    changed = values(sent)["head.weight"] - 1
    assert np.allclose(changed[changed != 0], 0.6, rtol=0.02), "those that were left out the first time"
    assert device.states_seen == [set(), set()]
    assert RESIDUAL in context(run_id="1", node_id="1", node_config={}, run_config={}, state=device.state).state


def test_a_residual_of_another_form_is_dropped() -> None:
    device = Device(plus(0.3))
    device.answer(instruction(), [PackedUpdate(HALF)])
    other = Unpacking(instruction()).unpack(device.answer(instruction(), [PackedUpdate(INT8)]))
    np.testing.assert_allclose(values(other)["head.weight"], 1.3, rtol=0.01)


def test_floats_travel_as_the_app_gives_them_and_nothing_is_kept_of_another_form() -> None:
    device = Device(plus(0.3))
    device.answer(instruction(), [PackedUpdate(HALF)])
    sent = device.answer(instruction(), [PackedUpdate(UpdateForm())])
    np.testing.assert_array_equal(values(sent)["head.weight"], np.float32(1) + np.float32(0.3))
    assert device.state == b""


def test_a_reply_without_arrays_passes_and_the_residual_stays() -> None:
    device = Device(plus(0.3))
    device.answer(instruction(), [PackedUpdate(HALF)])
    before = device.state
    sent = device.answer(instruction(), [PackedUpdate(HALF)], kind="evaluate")
    assert list(sent.content) == ["metrics"]
    assert device.state == before


def test_an_app_that_fails_leaves_the_state_as_it_was() -> None:
    def fail(model: Model) -> Model:
        raise RuntimeError("no data")

    around = context(run_id="1", node_id="5", node_config={}, run_config={}, state=b"")
    around.state[RESIDUAL] = ConfigRecord({"of": "int8"})
    message = Message(instruction(), dst_node_id=5, message_type="train")
    with pytest.raises(RuntimeError):
        PackedUpdate(INT8)(message, around, lambda message, context: fail(MODEL))  # pyright: ignore[reportArgumentType]
    assert list(around.state) == [RESIDUAL]


def test_a_large_update_is_an_array_that_flower_sends_in_pieces() -> None:
    large = {"w": np.zeros(4 * PACKED_WHOLE, np.float32)}
    random = np.random.default_rng(0)
    sent = Device(lambda model: {"w": random.normal(size=model["w"].shape).astype(np.float32)}).answer(
        instruction(large), [PackedUpdate(INT8)]
    )
    assert isinstance(sent.content["arrays"], ArrayRecord)
    whole = Unpacking(instruction(large)).unpack(sent)
    assert values(whole)["w"].std() == pytest.approx(1, rel=0.01)


@pytest.mark.parametrize(
    ("train", "reason"),
    [
        (lambda model: {"body.weight": model["body.weight"]}, "'norm.steps' is missing"),
        (lambda model: {**model, "extra": np.zeros(3)}, "'extra' is not among those"),
        (lambda model: {**model, "head.weight": model["head.weight"] * np.nan}, "'head.weight' has entries that are"),
    ],
)
def test_a_reply_that_cannot_be_packed_is_refused_with_the_array_s_name(train: Train, reason: str) -> None:
    with pytest.raises(Rejected, match=reason):
        Device(train).answer(instruction(), [PackedUpdate(INT8)])


def test_several_records_of_arrays_are_refused_with_their_names() -> None:
    asked = instruction()
    asked["controls"] = record(MODEL)
    with pytest.raises(Rejected, match="2 records of arrays: arrays, controls"):
        Device(plus(1)).answer(asked, [PackedUpdate(INT8)])


@pytest.mark.parametrize(
    "made_up",
    [
        ConfigRecord({PACKED: "text"}),
        ConfigRecord({PACKED: b"", "more": 1}),
        ConfigRecord({PACKED: b"\x01\0\0\0\0"}),
        ArrayRecord({PACKED: Array(dtype="uint8", shape=(3,), stype=PACKED, data=b"abc")}),
    ],
)
def test_what_no_device_of_ours_sends_is_refused_by_the_hub(made_up: ConfigRecord | ArrayRecord) -> None:
    asked = Message(instruction(), dst_node_id=5, message_type="train")
    asked.metadata.__dict__["_message_id"] = "a" * 64
    reply = Message(RecordDict({"arrays": made_up}), reply_to=asked)
    with pytest.raises(Rejected):
        Unpacking(instruction()).unpack(reply)


# ---- parts that stay local ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mods", [[], [PackedUpdate(INT8, ["head.*"])]], ids=["float", "int8"])
def test_a_local_part_is_trained_on_from_message_to_message_and_never_sent(mods: list[Mod]) -> None:
    device = Device(plus(1))
    replies = [device.answer(instruction(), [*mods, LocalParts(["head.*"])]) for _ in range(3)]
    assert b"head" not in b"".join(item.deflate() for item in get_all_nested_objects(replies[2]).values())
    whole = Unpacking(instruction(), ["head.*"]).unpack(replies[2])
    assert [float(seen["head.weight"][0, 0]) for seen in device.seen] == [1, 2, 3]
    assert [float(seen["body.weight"][0, 0]) for seen in device.seen] == [-1, -1, -1]
    assert device.states_seen == [set(), set(), set()]
    assert list(values(whole)) == list(MODEL)
    np.testing.assert_array_equal(values(whole)["head.weight"], MODEL["head.weight"])
    np.testing.assert_allclose(values(whole)["body.weight"], MODEL["body.weight"] + 1, atol=0.01)


def test_the_device_s_own_part_is_what_it_evaluates_with() -> None:
    device = Device(plus(1))
    device.answer(instruction(), [LocalParts(["head.*"])])
    device.answer(instruction(), [LocalParts(["head.*"])], kind="evaluate")
    device.answer(instruction(), [LocalParts(["head.*"])])
    assert [float(seen["head.weight"][0, 0]) for seen in device.seen] == [1, 2, 2]


def test_a_local_part_of_another_shape_gives_way_to_what_the_hub_sends() -> None:
    device = Device(plus(1))
    device.answer(instruction(), [LocalParts(["head.*"])])
    wider = {**MODEL, "head.weight": np.zeros((4, 6), np.float32)}
    device.answer(instruction(wider), [LocalParts(["head.*"])])
    assert device.seen[-1]["head.weight"].shape == (4, 6)


def test_a_device_that_sends_what_should_stay_local_changes_nothing_with_it() -> None:
    sent = Device(plus(1)).answer(instruction(), [])
    whole = Unpacking(instruction(), ["head.*"]).unpack(sent)
    np.testing.assert_array_equal(values(whole)["head.weight"], MODEL["head.weight"])


@pytest.mark.parametrize(("patterns", "reason"), [(["tail"], "no array of the model"), (["*"], "all arrays")])
def test_patterns_that_fit_nothing_or_everything_are_refused_on_both_sides(patterns: list[str], reason: str) -> None:
    with pytest.raises(Rejected, match=reason):
        Device(plus(1)).answer(instruction(), [LocalParts(patterns)])
    with pytest.raises(Rejected, match=reason):
        Unpacking(instruction(), patterns)


def test_the_record_of_local_parts_is_named_as_documented() -> None:
    device = Device(plus(1))
    device.answer(instruction(), [LocalParts(["head.*"])])
    state = context(run_id="1", node_id="1", node_config={}, run_config={}, state=device.state).state
    assert list(cast(ArrayRecord, state[OWN])) == ["head.weight"]
