"""`flip_hub.cluster.volatile.Memory`: values that expire, and a bound on how many there are."""

import pytest

from flip_hub.cluster.bus import Bus, Topic
from flip_hub.cluster.volatile import Memory


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.mark.asyncio
async def test_a_value_is_there_until_it_expires() -> None:
    clock = Clock()
    values = Memory(clock=clock)
    await values.put("session", b"ada", 10.0)
    clock.now += 9.0
    assert (await values.get("session"), await values.left("session")) == (b"ada", 1.0)
    clock.now += 1.0
    assert (await values.get("session"), await values.left("session")) == (None, 0.0)


@pytest.mark.asyncio
async def test_only_the_first_may_add_until_it_has_expired() -> None:
    clock = Clock()
    values = Memory(clock=clock)
    assert await values.add("key", b"1", 5.0)
    assert not await values.add("key", b"2", 5.0)
    assert await values.get("key") == b"1"
    clock.now += 5.0
    assert await values.add("key", b"3", 5.0)


@pytest.mark.asyncio
async def test_a_value_is_taken_once() -> None:
    values = Memory()
    await values.put("ticket", b"ada", 60.0)
    assert [await values.take("ticket"), await values.take("ticket")] == [b"ada", None]


@pytest.mark.asyncio
async def test_a_counter_lives_from_its_first_count_on() -> None:
    clock = Clock()
    values = Memory(clock=clock)
    assert await values.count("failures", 60.0) == 1
    clock.now += 50.0
    assert await values.count("failures", 60.0) == 2
    clock.now += 10.0
    assert await values.count("failures", 60.0) == 1


@pytest.mark.asyncio
async def test_those_that_would_expire_first_make_room() -> None:
    values = Memory(most=20)
    for number in range(20):
        await values.put(f"{number}", b"", 100.0 - number)
    await values.put("one more", b"", 1000.0)
    assert [await values.get("18"), await values.get("19")] == [None, None]
    assert [await values.get("17"), await values.get("one more")] == [b"", b""]


def test_who_listens_hears_what_this_hub_tells() -> None:
    bus, heard = Bus(), list[bytes]()
    bus.on(Topic.DEVICE, heard.append)
    bus.tell(Topic.DEVICE, b"dev-1")
    bus.tell(Topic.USER, b"ada")
    assert heard == [b"dev-1"]
