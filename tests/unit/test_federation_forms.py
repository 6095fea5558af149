"""A run's form is agreed with each device: who cannot pack is not asked to, and counts all the same."""

import numpy as np
import pytest
from flwr.app import ConfigRecord, Message, RecordDict
from flwr.supercore.task_identity import TaskIdentity
from test_federation_mods import MODEL, Device, instruction, plus, values

from flip_agent.federation.mods.chain import mods_of
from flip_hub.federation.aggregator.instructions import Instructions
from flip_hub.federation.brief import NodeFacts
from flip_wire.fleet import DeviceId
from flip_wire.terms import RECORD, TERMS, UpdateForm, decode_terms

INT8 = UpdateForm(codec="int8")


@pytest.fixture(autouse=True)
def task(monkeypatch: pytest.MonkeyPatch) -> None:
    """Flower's messages name the run of the process that they are made in."""
    for name in ("_run_id", "_node_id", "_task_id"):
        monkeypatch.setattr(TaskIdentity, name, 1)


@pytest.mark.parametrize(
    ("forms", "agreed"), [(["int8", "topk"], INT8), (["int4"], None), ([], None)], ids=["can", "cannot", "says nothing"]
)
def test_each_device_is_asked_for_the_form_that_it_can_and_strategies_see_the_same(
    forms: list[str], agreed: UpdateForm | None
) -> None:
    instructions = Instructions("run-1", INT8)
    message = Message(instruction(), dst_node_id=5, message_type="train")
    facts = NodeFacts(node="5", device_id=DeviceId("d5"), agent=True, forms=forms)
    sent = instructions.describe(message, facts)
    told = instructions.with_terms(message, facts).content.config_records[RECORD][TERMS]
    assert isinstance(told, bytes)
    terms = decode_terms(told)
    assert terms.form == agreed
    asked = RecordDict({**instruction(), RECORD: ConfigRecord()})
    reply = Device(plus(0.5)).answer(asked, mods_of(terms))
    assert bool(reply.content.array_records) == (agreed is None), "packed, or as the app gave it"
    assert instructions.opened(reply, sent) == ""
    for name, array in values(reply).items():
        assert np.allclose(array, np.asarray(MODEL[name] + 0.5, MODEL[name].dtype), atol=0.005), name
