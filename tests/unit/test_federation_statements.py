"""What a device has signed is for one run, round, phase, base and content, and counts once."""

import pytest
from flwr.app import ArrayRecord, MetricRecord, RecordDict
from msgspec.structs import replace

from flip_hub.federation.aggregator.statements import Asked, Statements, base_of
from flip_runtime.errors import Rejected
from flip_wire.fleet import DeviceId
from flip_wire.models import Sha256
from flip_wire.statements import Signed, Statement, content_hash

SENT, REPLY = RecordDict({"arrays": ArrayRecord()}), RecordDict({"metrics": MetricRecord({"num-examples": 10})})
ASKED = Asked(round=2, phase="train", device_id=DeviceId("dev-1"), base=base_of(SENT))
SAID = Statement(
    device_id=DeviceId("dev-1"),
    run_id="run-1",
    round=2,
    phase="train",
    base=base_of(SENT),
    content=content_hash({name: record.object_id for name, record in REPLY.items()}),
    samples=10.0,
    nonce="00",
)


def check(said: Statement | None, statements: Statements | None = None, message: str = "m1") -> None:
    signed = None if said is None else Signed(statement=said, signature="checked before")
    (statements or Statements("run-1")).check(signed, ASKED, REPLY, message)


def test_what_was_signed_of_this_instruction_counts() -> None:
    check(SAID)


@pytest.mark.parametrize(
    ("said", "why"),
    [
        (None, "it is not signed by its device"),
        (replace(SAID, run_id="run-2"), "what is signed is train of round 2 of run-2"),
        (replace(SAID, round=1), "what is signed is train of round 1 of run-1"),
        (replace(SAID, phase="evaluate"), "what is signed is evaluate of round 2 of run-1"),
        (replace(SAID, device_id=DeviceId("dev-2")), "what is signed is of another device, dev-2"),
        (replace(SAID, base=Sha256("a" * 64)), "what is signed was made from other arrays than were sent"),
        (replace(SAID, samples=1000.0), "another number of samples than its device has signed"),
        (replace(SAID, samples=None), "another number of samples than its device has signed"),
        (replace(SAID, content=Sha256("a" * 64)), "its content is not what its device has signed"),
    ],
)
def test_what_was_signed_of_something_else_is_refused_with_the_reason(said: Statement | None, why: str) -> None:
    with pytest.raises(Rejected, match=why):
        check(said)


def test_a_statement_counts_for_one_instruction_however_often_its_reply_is_looked_at() -> None:
    statements = Statements("run-1")
    check(SAID, statements)
    check(SAID, statements)
    with pytest.raises(Rejected, match="a replayed receipt"):
        check(SAID, statements, "m2")
    check(replace(SAID, nonce="01"), statements, "m2")
