"""Time stands still while a device does something, and what comes next comes in the same order each time."""

import asyncio

import pytest

from flip_lab import timeline as module
from flip_lab.timeline import Timeline

pytestmark = pytest.mark.asyncio


async def test_devices_go_on_in_the_order_of_their_moments_however_long_they_take() -> None:
    timeline, seen = Timeline(), list[tuple[float, int]]()

    async def live(number: int, moments: list[float], pause: float) -> None:
        for moment in moments:
            await timeline.until(moment, number)
            await asyncio.sleep(pause)
            seen.append((timeline.now, number))

    async with asyncio.TaskGroup() as group:
        group.create_task(timeline.living(lambda: live(1, [5.0, 30.0], 0.02)))
        group.create_task(timeline.living(lambda: live(2, [10.0, 20.0], 0.0)))
        await asyncio.sleep(0)
        await timeline.to_the_end()
    assert seen == [(5.0, 1), (10.0, 2), (20.0, 2), (30.0, 1)]


async def test_it_goes_on_until_something_was_delivered_or_the_time_is_over() -> None:
    timeline = Timeline()

    async def live() -> None:
        await timeline.until(3.0, 1)
        timeline.delivered()
        await timeline.until(50.0, 1)

    async with asyncio.TaskGroup() as group:
        group.create_task(timeline.living(live))
        await asyncio.sleep(0)
        await timeline.go_on(10.0)
        assert timeline.now == 3.0
        await timeline.go_on(10.0)
        assert timeline.now == 13.0
        await timeline.go_on(1e-18)
        assert timeline.now > 13.0, "it never stands still for ever"
        await timeline.to_the_end()
        assert timeline.now == 50.0


async def test_a_device_that_waits_for_work_is_called_and_one_that_works_is_called_afterwards() -> None:
    timeline, seen = Timeline(), list[float]()

    async def live() -> None:
        for _ in range(2):
            await timeline.work(1)
            seen.append(timeline.now)
            await timeline.until(timeline.now + 5.0, 1)

    async with asyncio.TaskGroup() as group:
        group.create_task(timeline.living(live))
        await asyncio.sleep(0)
        timeline.call(1)
        await timeline.go_on(2.0)
        timeline.call(1)
        timeline.call(1)
        await timeline.to_the_end()
    assert seen == [0.0, 5.0]


async def test_a_device_that_fails_lets_time_go_on() -> None:
    timeline = Timeline()

    async def live() -> None:
        raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        await timeline.living(live)
    await timeline.go_on(4.0)
    assert timeline.now == 4.0


async def test_a_device_hears_of_each_message_that_came_while_it_was_at_work() -> None:
    timeline, seen = Timeline(), list[float]()

    async def live() -> None:
        while True:
            await timeline.work(1)
            seen.append(timeline.now)
            await timeline.until(timeline.now + 5.0, 1)

    life = asyncio.create_task(timeline.living(live))
    await asyncio.sleep(0)
    timeline.call(1)
    await timeline.go_on(2.0)
    timeline.call(1)
    timeline.call(1)
    assert not timeline.over
    await timeline.to_the_end()
    life.cancel()
    assert seen == [0.0, 5.0, 10.0]
    assert timeline.over


async def test_a_serverapp_that_does_not_see_yet_what_has_come_looks_again_before_time_leaps(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "_LOOK_AGAIN", 0.0)
    timeline = Timeline()

    async def live() -> None:
        await timeline.until(3.0, 1)
        timeline.delivered()

    async with asyncio.TaskGroup() as group:
        group.create_task(timeline.living(live))
        await asyncio.sleep(0)
        await timeline.go_on(600.0)
        looks = 0
        while timeline.now == 3.0:
            await timeline.go_on(600.0)
            looks += 1
    assert (looks, timeline.now) == (11, 603.0), "ten of them, and then time goes on"
