"""How a batch of telemetry is counted, whatever order and repetition it comes in."""

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from core_hub import log_batch
from flip_hub.devices.record import Intake
from flip_hub.telemetry.batch import CheckedBatch, read_batch
from flip_wire.health import HealthReport


def _checked(seqs: list[int], *, epoch: str = "e1", kind: str = "log", body: object = None) -> CheckedBatch:
    return read_batch(msgspec.json.encode(log_batch(seqs, epoch=epoch, kind=kind, body=body)), "")


def _health(uptime: float) -> HealthReport:
    return HealthReport(uptime=uptime, rss=1, load=0.0, disk_free=1, outbox_depth=0, outbox_oldest=None, dropped=0)


@given(st.lists(st.integers(1, 5), min_size=1, max_size=8))
def test_a_device_that_sends_again_from_its_last_ack_is_counted_exactly(steps: list[int]) -> None:
    """Each step sends that many new events, and then the whole batch once more."""
    intake, first = Intake(), 0
    for step in steps:
        batch = _checked(list(range(first, first + step)))
        intake = batch.counted_in(batch.counted_in(intake))
        first += step
    assert intake.accepted == sum(steps)


def test_a_new_outbox_file_counts_from_its_own_beginning() -> None:
    intake = _checked([1, 2, 3]).counted_in(Intake())
    intake = _checked([1], epoch="e2").counted_in(intake)
    assert (intake.accepted, intake.epoch) == (4, "e2")


def test_only_a_newer_health_report_replaces_the_known_one() -> None:
    newer, older = _checked([9], kind="health", body=_health(9.0)), _checked([4], kind="health", body=_health(4.0))
    intake = newer.counted_in(Intake())
    assert newer.newest_health(Intake()) == _health(9.0)
    assert older.newest_health(intake) is None
    assert newer.newest_health(intake) is None, "the same batch again brings nothing new"


def test_what_a_gap_declares_is_added_once() -> None:
    gap = {"priority": 3, "first": 1, "last": 7, "count": 7, "reason": "full"}
    batch = _checked([8], kind="gap", body=gap)
    assert batch.counted_in(batch.counted_in(Intake())).dropped == 7


def test_a_late_batch_of_an_earlier_outbox_is_counted_once_and_is_no_news() -> None:
    old, new = _checked([5], kind="health", body=_health(5.0)), _checked([1], epoch="e2")
    intake = new.counted_in(old.counted_in(Intake()))
    again = old.counted_in(intake)
    assert again == intake
    assert old.newest_health(intake) is None
    assert new.counted_in(again) == intake
