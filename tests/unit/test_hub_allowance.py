"""A token bucket for each device, and frames for consoles as far as they can follow."""

import itertools
import time

import pytest

from flip_hub.devices.announcements import Announcements
from flip_hub.devices.record import DeviceRecord
from flip_hub.problem import TooMany
from flip_hub.telemetry.allowance import Allowance
from flip_wire.fleet import DeviceId

ONE, OTHER = DeviceId("dev-1"), DeviceId("dev-2")


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_a_device_that_sends_too_often_waits_and_the_others_do_not() -> None:
    clock = Clock()
    allowance = Allowance(2.0, 3, clock=clock)
    for _ in range(3):
        allowance.take(ONE)
    with pytest.raises(TooMany) as refused:
        allowance.take(ONE)
    assert refused.value.retry_after == 1
    allowance.take(OTHER)
    clock.now += 0.5
    allowance.take(ONE)
    with pytest.raises(TooMany):
        allowance.take(ONE)


def test_a_pause_gives_back_no_more_than_the_burst() -> None:
    clock = Clock()
    allowance = Allowance(10.0, 3, clock=clock)
    allowance.take(ONE)
    clock.now += 3600
    for _ in range(3):
        allowance.take(ONE)
    with pytest.raises(TooMany):
        allowance.take(ONE)


def test_buckets_are_bounded_and_a_rate_of_zero_allows_all() -> None:
    clock = Clock()
    bounded = Allowance(1.0, 1, most=2, clock=clock)
    for device in ("a", "b", "c", "a"):
        bounded.take(DeviceId(device))
    unlimited = Allowance(0.0, 1, clock=clock)
    for _ in range(1000):
        unlimited.take(ONE)


def _record(number: int, **changes: object) -> DeviceRecord:
    kept: dict[str, object] = {"last_seen": time.time(), **changes}
    return DeviceRecord(
        id=DeviceId(f"dev-{number}"),
        name=f"{number}",
        public_key="",
        fingerprint=f"{number}",
        enrolled_at=0.0,
        agent_version="0",
        **kept,  # pyright: ignore[reportArgumentType]
    )


@pytest.mark.asyncio
async def test_ten_thousand_heartbeats_are_no_flood_of_frames_and_news_is_told_at_once() -> None:
    clock, told = Clock(), list[str]()

    async def publish(record: DeviceRecord) -> None:
        told.append(record.id)

    announcements = Announcements(publish, lambda: True, frames=50, clock=clock)
    records = [_record(number) for number in range(10_000)]
    for record in records:
        await announcements.heard(record, record, news=False)
    assert len(told) <= 50
    await announcements.heard(records[9_999], records[9_999], news=True)
    assert told[-1] == "dev-9999"
    before = len(told)
    for _ in range(10):
        clock.now += 0.2
        await announcements.look()
    assert 90 <= len(told) - before <= 100, "two seconds later"
    assert len(set(told)) == len(told), "each once, before any is told again"


@pytest.mark.asyncio
async def test_a_device_is_told_of_once_a_second_and_then_as_it_is_now() -> None:
    clock, told = Clock(), list[DeviceRecord]()

    async def publish(record: DeviceRecord) -> None:
        told.append(record)

    announcements = Announcements(publish, lambda: True, clock=clock)
    records = [_record(1, last_seen=float(second)) for second in range(5)]
    for before, after in itertools.pairwise(records):
        await announcements.heard(before, after, news=False)
    clock.now += 1.0
    await announcements.look()
    assert [record.last_seen for record in told] == [1.0, 4.0]


@pytest.mark.asyncio
async def test_while_nobody_watches_nothing_but_news_is_made_a_frame_of() -> None:
    told, watched = list[str](), False

    async def publish(record: DeviceRecord) -> None:
        told.append(record.id)

    announcements = Announcements(publish, lambda: watched)
    one, other = _record(1), _record(2)
    await announcements.heard(one, one, news=False)
    await announcements.heard(other, other, news=True)
    assert told == ["dev-2"]
    watched = True
    await announcements.heard(one, one, news=False)
    assert told == ["dev-2", "dev-1"]
