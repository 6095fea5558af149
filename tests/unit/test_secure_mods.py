"""A device's end of a secure round: nothing but the protocol's answers leaves it, and its state is its own."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from flwr.app import Array, ArrayRecord, ConfigRecord, RecordDict
from flwr.supercore.task_identity import TaskIdentity
from test_federation_mods import MODEL, Device, Model

from flip_agent.federation.mods.chain import mods_of
from flip_agent.federation.mods.secure_update import STATE
from flip_runtime.errors import Rejected
from flip_update.secagg.hub_round import HubRound
from flip_update.secagg.members import Stage
from flip_update.secagg.parameters import Parameters
from flip_wire.terms import ANSWER, PACKED_WHOLE, QUESTION, RECORD, SECURE, WEIGHTED_BY, Terms

RUN = "run-1"
FLOATS = {name: array for name, array in MODEL.items() if array.dtype == np.float32}


@pytest.fixture(autouse=True)
def task(monkeypatch: pytest.MonkeyPatch) -> None:
    """Flower's messages name the run of the process that they are made in."""
    for name in ("_run_id", "_node_id", "_task_id"):
        monkeypatch.setattr(TaskIdentity, name, 1)


class Trio:
    """Three devices with a hub's end, in the stage that masks."""

    def __init__(self, model: Model = FLOATS, changes: tuple[float, ...] = (0.1, 0.2, 0.3)) -> None:
        self.model = model
        self.changes = dict(zip("abc", changes, strict=True))
        self.devices = {name: Device(self._train(name)) for name in self.changes}
        length = sum(array.size for array in model.values())
        self.hub = HubRound.begin(
            RUN, 1, Parameters.checked(devices=3, length=length, clip=1.0, max_weight=10), list(self.devices)
        )
        for _ in (Stage.ADVERTISE, Stage.SHARE):
            for name, question in self.hub.questions():
                self.hub.take(name, self.ask(name, question))
            self.hub.close()

    def _train(self, name: str) -> Any:
        return lambda model: {key: np.asarray(array + self.changes[name], array.dtype) for key, array in model.items()}

    def ask(self, name: str, question: bytes, local: tuple[str, ...] = ()) -> bytes:
        record = ArrayRecord({key: Array(array) for key, array in self.model.items()})
        told = ConfigRecord({QUESTION: question, WEIGHTED_BY: "num-examples"})
        return self.answer(name, {"arrays": record, "config": ConfigRecord(), SECURE: told}, local)

    def answer(self, name: str, content: Mapping[str, Any], local: tuple[str, ...] = ()) -> bytes:
        terms = Terms(run_id=RUN, round=1, local=list(local), secure=True)
        asked = RecordDict({**content, RECORD: ConfigRecord()})
        reply = self.devices[name].answer(asked, mods_of(terms))
        assert set(reply.content) == {SECURE, RECORD}, "nothing but the answer, and what the reply says of itself"
        found: Any = reply.content[SECURE][ANSWER]
        return found.data if isinstance(found, Array) else found

    def delivery(self, name: str) -> bytes:
        return dict(self.hub.questions())[name]


def test_the_app_trains_in_one_stage_and_sees_neither_question_nor_state() -> None:
    trio = Trio()
    device = trio.devices["a"]
    assert device.seen == []
    trio.ask("a", trio.delivery("a"))
    assert len(device.seen) == 1
    assert all(STATE not in names for names in device.states_seen)


def test_a_large_vector_travels_as_an_array() -> None:
    trio = Trio({"w": np.zeros(PACKED_WHOLE // 4, np.float32)})
    masked = {name: trio.ask(name, question) for name, question in trio.hub.questions()}
    for name, answer in masked.items():
        trio.hub.take(name, answer)
    trio.hub.close()
    for name, question in trio.hub.questions():
        trio.hub.take(name, trio.ask(name, question))
    trio.hub.close()
    assert trio.hub.total(masked.items()).mean == pytest.approx(0.2, abs=1e-5)


def test_a_second_training_is_never_masked_with_the_secrets_of_the_first() -> None:
    trio = Trio()
    trio.ask("a", trio.delivery("a"))
    before = trio.devices["a"].state
    trio.changes["a"] = 0.4
    with pytest.raises(Rejected, match="an update was masked already"):
        trio.ask("a", trio.delivery("a"))
    assert trio.devices["a"].state == before
    assert len(trio.devices["a"].seen) == 1, "nor is it trained in vain"


def test_a_device_that_died_before_its_state_was_kept_trains_and_masks_anew() -> None:
    trio = Trio()
    before = trio.devices["a"].state
    trio.ask("a", trio.delivery("a"))
    trio.devices["a"].state, trio.changes["a"] = before, 0.4  # nothing had left it
    trio.ask("a", trio.delivery("a"))


def test_an_instruction_without_a_question_is_not_answered() -> None:
    trio = Trio()
    record = ArrayRecord({key: Array(array) for key, array in FLOATS.items()})
    with pytest.raises(Rejected, match="the instruction has no question"):
        trio.answer("a", {"arrays": record, "config": ConfigRecord()})
    assert trio.devices["a"].seen == []


def test_whole_numbers_that_are_shared_are_refused_by_name() -> None:
    trio = Trio(MODEL)
    with pytest.raises(Rejected, match=r"norm\.steps is int64"):
        trio.ask("a", trio.delivery("a"))


def test_what_stays_on_the_device_is_in_no_sum() -> None:
    trio = Trio({**FLOATS, "own.weight": np.zeros(4, np.float32)})
    with pytest.raises(Rejected, match="an update of 78 values instead of 82"):
        trio.ask("a", trio.delivery("a"), local=("own.*",))
