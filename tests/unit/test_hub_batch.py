"""How a batch of telemetry is counted, whatever order and repetition it comes in."""

import os
from concurrent.futures import ThreadPoolExecutor

import msgspec
import zstandard
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
        intake = batch.fresh_since(batch.fresh_since(intake).intake).intake
        first += step
    assert intake.accepted == sum(steps)


def test_a_new_outbox_file_counts_from_its_own_beginning() -> None:
    intake = _checked([1, 2, 3]).fresh_since(Intake()).intake
    intake = _checked([1], epoch="e2").fresh_since(intake).intake
    assert (intake.accepted, intake.epoch) == (4, "e2")


def test_only_a_newer_health_report_replaces_the_known_one() -> None:
    newer, older = _checked([9], kind="health", body=_health(9.0)), _checked([4], kind="health", body=_health(4.0))
    intake = newer.fresh_since(Intake()).intake
    assert newer.fresh_since(Intake()).health == _health(9.0)
    assert older.fresh_since(intake).health is None
    assert newer.fresh_since(intake).health is None, "the same batch again brings nothing new"


def test_what_a_gap_declares_is_added_once() -> None:
    gap = {"priority": 3, "first": 1, "last": 7, "count": 7, "reason": "full"}
    batch = _checked([8], kind="gap", body=gap)
    assert batch.fresh_since(batch.fresh_since(Intake()).intake).intake.dropped == 7


def test_a_late_batch_of_an_earlier_outbox_is_counted_once_and_is_no_news() -> None:
    old, new = _checked([5], kind="health", body=_health(5.0)), _checked([1], epoch="e2")
    intake = new.fresh_since(old.fresh_since(Intake()).intake).intake
    again = old.fresh_since(intake).intake
    assert again == intake
    assert old.fresh_since(intake).health is None
    assert new.fresh_since(again).intake == intake


def test_batches_are_unpacked_in_several_threads_at_once() -> None:
    bodies = [{"noise": os.urandom(size).hex()} for size in (50, 2_500, 30_000, 100_000)]
    sent = [zstandard.compress(msgspec.json.encode(log_batch([1], kind="log", body=body))) for body in bodies]

    def read(thread: int) -> None:
        for turn in range(2_000):
            read_batch(sent[(thread + turn) % len(sent)], "zstd")

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(read, range(8)))
