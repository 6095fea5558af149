"""What a private run's update looks like when it leaves the device."""

import math
from collections.abc import Callable, Mapping
from typing import Any, cast

import numpy as np
import pytest
from flwr.app import Array, ArrayRecord, ConfigRecord, Context, Error, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp
from flwr.clientapp.mod import LocalDpMod, adaptiveclipping_mod, fixedclipping_mod
from flwr.clientapp.typing import Mod
from flwr.supercore.task_identity import TaskIdentity
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from flip_agent.federation.mods.chain import chain, mods_of
from flip_agent.federation.mods.private_update import PrivateUpdate
from flip_hub.federation.aggregator.unpacking import Unpacking
from flip_hub.federation.privacy.on_devices import on_devices
from flip_hub.federation.privacy.schemas import DeviceAdaptive, HubFixed, Local
from flip_runtime.errors import Rejected
from flip_wire.terms import RECORD, TERMS, Clipping, Noise, Terms, UpdateForm, encode

Model = Mapping[str, NDArray[Any]]
App = Callable[[Message, Context], Message]
SIZE = 40_000
NORM = 2.0
FIXED, ADAPTIVE = Clipping(), Clipping(adaptive=True)
NOISE = Noise(clipping_norm=NORM, stddev=0.5)
ORIGIN: Model = {"a": np.ones(SIZE, np.float32), "b": np.ones((2, 2))}


@pytest.fixture(autouse=True, scope="module")
def task() -> Any:
    """Flower's messages name the run of the process that they are made in."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("_run_id", "_node_id", "_task_id"):
            patch.setattr(TaskIdentity, name, 1)
        yield


def instruction(model: Model = ORIGIN, kind: str = "train", **config: Any) -> Message:
    config = {"clipping_norm": NORM, **config}
    content = RecordDict({"arrays": record(model), "config": ConfigRecord(config)})
    message = Message(content, dst_node_id=5, message_type=kind)
    message.metadata.__dict__["_message_id"] = "m"
    return message


def record(model: Model) -> ArrayRecord:
    return ArrayRecord({name: Array(np.asarray(array)) for name, array in model.items()})


def answers(model: Model, beside: Mapping[str, Any] | None = None, **metrics: float) -> App:
    def app(message: Message, _: Context) -> Message:
        cast(ArrayRecord, message.content["arrays"]).clear()  # as apps do that save memory
        counted = MetricRecord({"num-examples": 77, "loss": 0.25, **metrics})
        return Message(RecordDict({"arrays": record(model), "metrics": counted, **(beside or {})}), reply_to=message)

    return app


def moved(length: float) -> Model:
    """Along the diagonal, in both arrays."""
    step = length / math.sqrt(SIZE + 4)
    return {name: np.asarray(array + step, array.dtype) for name, array in ORIGIN.items()}


def sent(privacy: Clipping | Noise, app: App, message: Message | None = None) -> Message:
    around = Context(run_id=1, node_id=5, node_config={}, state=RecordDict(), run_config={})
    return PrivateUpdate(privacy)(message or instruction(), around, app)


def values(reply: Message) -> dict[str, NDArray[Any]]:
    return {name: array.numpy() for name, array in reply.content.array_records["arrays"].items()}


def length(reply: Message) -> float:
    return math.sqrt(sum(float(np.sum((array.astype(float) - 1) ** 2)) for array in values(reply).values()))


def deviation(reply: Message) -> float:
    return float(np.std(values(reply)["a"]))


# ---- clipping ----


@pytest.mark.parametrize("privacy", [FIXED, ADAPTIVE])
@given(st.floats(0, 1e6))
def test_no_update_is_longer_than_the_norm_and_a_short_one_stays(privacy: Clipping, wanted: float) -> None:
    reply = sent(privacy, answers(moved(wanted)))
    assert length(reply) == pytest.approx(min(wanted, NORM), abs=0.01)
    assert values(reply)["b"].dtype == np.float64


@pytest.mark.parametrize(("wanted", "bit"), [(0.0, 0), (1.0, 0), (3.0, 1)])
def test_where_the_norm_adapts_the_reply_says_whether_it_was_clipped(wanted: float, bit: int) -> None:
    metrics = sent(ADAPTIVE, answers(moved(wanted))).content.metric_records["metrics"]
    assert metrics["norm_bit"] == bit
    assert metrics["num-examples"] == 77


@pytest.mark.parametrize(("privacy", "mod"), [(FIXED, fixedclipping_mod), (ADAPTIVE, adaptiveclipping_mod)])
def test_an_app_that_clips_by_itself_is_clipped_once(privacy: Clipping, mod: Mod) -> None:
    app = ClientApp(mods=[mod])
    app.train()(answers_whole(moved(5.0)))
    reply = sent(privacy, lambda message, context: app(message, context))
    assert length(reply) == pytest.approx(NORM, abs=0.01)
    if privacy.adaptive:
        assert reply.content.metric_records["metrics"]["norm_bit"] == 1


def answers_whole(model: Model) -> App:
    """An app that leaves the instruction as it is, as Flower's mods expect."""

    def app(message: Message, _: Context) -> Message:
        metrics = MetricRecord({"num-examples": 77})
        return Message(RecordDict({"arrays": record(model), "metrics": metrics}), reply_to=message)

    return app


def test_an_instruction_without_a_norm_is_refused() -> None:
    with pytest.raises(Rejected, match="no clipping_norm"):
        sent(FIXED, answers(moved(1.0)), instruction(clipping_norm=0.0))


def test_only_training_is_clipped() -> None:
    reply = sent(FIXED, answers(moved(9.0)), instruction(kind="evaluate"))
    assert length(reply) == pytest.approx(9.0, abs=0.01)


# ---- noise ----


@pytest.mark.parametrize("wanted", [0.0, 1.0, 1e6])
@pytest.mark.parametrize("kind", ["train", "train.again", "evaluate"])
def test_an_update_leaves_with_noise_whatever_it_is(wanted: float, kind: str) -> None:
    reply = sent(NOISE, answers(moved(wanted)), instruction(kind=kind))
    assert deviation(reply) == pytest.approx(0.5, rel=0.02)
    drift = float(np.mean(values(reply)["a"])) - 1
    assert drift == pytest.approx(min(wanted, NORM) / math.sqrt(SIZE), abs=0.013)


def test_an_app_that_seeds_numpy_does_not_know_the_noise() -> None:
    def app(message: Message, context: Context) -> Message:
        np.random.seed(0)
        return answers(moved(0.0))(message, context)

    assert (values(sent(NOISE, app))["a"] != values(sent(NOISE, app))["a"]).any()


def test_nothing_else_of_the_device_leaves_with_it() -> None:
    beside = {"private": ConfigRecord({"name": "Ada"}), "more": MetricRecord({"age": 36})}
    content = sent(NOISE, answers(moved(1.0), beside)).content
    assert list(content) == ["arrays", "metrics", "more"]
    assert [dict(each) for each in content.metric_records.values()] == [{"num-examples": 1}] * 2
    shown = sent(Noise(clipping_norm=1.0, stddev=1.0, metrics=True), answers(moved(1.0), beside)).content
    assert shown.metric_records["more"]["age"] == 36
    assert "private" not in shown


def test_the_noise_of_an_app_takes_nothing_from_ours() -> None:
    app = ClientApp(mods=[LocalDpMod(NORM, 0.1, 1.0, 1e-5)])
    app.train()(answers_whole(moved(1.0)))
    assert deviation(sent(NOISE, lambda message, context: app(message, context))) > 0.49


# ---- what cannot be private stays ----


@pytest.mark.parametrize(
    ("model", "why"),
    [
        ({"a": ORIGIN["a"]}, "'b' is not both"),
        ({**ORIGIN, "c": np.ones(1)}, "'c' is not both"),
        ({**ORIGIN, "b": np.ones(4)}, "b of the app's reply has another"),
        ({**ORIGIN, "b": np.ones((2, 2), np.float32)}, "b of the app's reply has another"),
        ({**ORIGIN, "b": np.full((2, 2), np.nan)}, "not finite"),
        ({**ORIGIN, "b": np.full((2, 2), 1e300)}, "out of all bounds"),
    ],
)
@pytest.mark.parametrize("privacy", [FIXED, ADAPTIVE, NOISE])
def test_an_update_that_cannot_be_hidden_does_not_leave(privacy: Clipping | Noise, model: Model, why: str) -> None:
    with pytest.raises(Rejected, match=why):
        sent(privacy, answers(model))


def test_whole_numbers_are_named() -> None:
    model = {"steps": np.array(3)}
    with pytest.raises(Rejected, match="steps is int64"):
        sent(NOISE, answers(model), instruction(model))


def test_arrays_that_nobody_sent_do_not_leave_with_an_answer_to_a_query() -> None:
    message = Message(RecordDict({"config": ConfigRecord()}), dst_node_id=5, message_type="query")
    message.metadata.__dict__["_message_id"] = "m"

    def app(message: Message, _: Context) -> Message:
        return Message(RecordDict({"arrays": record(ORIGIN)}), reply_to=message)

    with pytest.raises(Rejected, match="'a' is not both"):
        sent(NOISE, app, message)


def test_an_app_that_fails_says_so() -> None:
    reply = sent(NOISE, lambda message, _: Message(Error(code=5, reason="no data"), reply_to=message))
    assert reply.error.reason == "no data"


# ---- with the other terms ----


def test_parts_that_stay_are_neither_clipped_nor_sent_and_what_is_packed_is_noisy() -> None:
    terms = Terms(run_id="r", round=1, form=UpdateForm(codec="int8"), local=["b"], privacy=NOISE)
    message = instruction()
    message.content[RECORD] = ConfigRecord({TERMS: encode(terms)})
    around = Context(run_id=1, node_id=5, node_config={}, state=RecordDict(), run_config={})
    trained = {"a": ORIGIN["a"], "b": np.full((2, 2), 1e9)}
    whole = chain(answers(trained), mods_of(Terms(run_id="r", round=1, local=["b"], privacy=NOISE)))
    reply = whole(message, around)
    assert list(values(reply)) == ["a"]
    assert deviation(reply) == pytest.approx(0.5, rel=0.02)
    message = instruction()
    message.content[RECORD] = ConfigRecord({TERMS: encode(terms)})
    packed = chain(answers(trained), mods_of(terms))(message, around)
    Unpacking(instruction().content, ["b"]).unpack(packed)
    assert deviation(packed) == pytest.approx(0.5, rel=0.02)
    assert (values(packed)["b"] == 1).all()


def test_what_a_plan_asks_of_devices() -> None:
    of_the_run: dict[str, Any] = {"budget": 1.0, "delta": 1e-5, "clipping_norm": 3.0}
    assert on_devices(HubFixed(noise_multiplier=1.0, **of_the_run)) is None
    adaptive = DeviceAdaptive(noise_multiplier=1.0, clipped_count_stddev=1.0, **of_the_run)
    assert on_devices(adaptive) == Clipping(adaptive=True)
    local = Local(message_epsilon=0.5, message_delta=1e-5, metrics="shown", **of_the_run)
    assert on_devices(local) == Noise(clipping_norm=3.0, stddev=local.stddev, metrics=True)
