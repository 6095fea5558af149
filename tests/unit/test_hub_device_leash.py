"""What a device has under way ends with its revocation, and nothing else does."""

import asyncio

import pytest

from flip_hub.devices.leash import Leashes
from flip_hub.devices.polls import Polls, Woken
from flip_hub.problem import Forbidden
from flip_wire.fleet import DeviceId

NORTH, SOUTH = DeviceId("dev-north"), DeviceId("dev-south")


@pytest.mark.asyncio
async def test_all_that_a_device_has_under_way_is_cut_and_what_others_have_goes_on() -> None:
    leashes, begun = Leashes(), asyncio.Event()
    never = asyncio.Event()

    async def call(device: DeviceId) -> str:
        try:
            async with leashes.held(device):
                begun.set()
                await never.wait()
        except Forbidden:
            return "cut"
        return "done"

    async with asyncio.timeout(10), asyncio.TaskGroup() as group:
        cut = [group.create_task(call(NORTH)) for _ in range(3)]
        other = group.create_task(call(SOUTH))
        await begun.wait()
        await asyncio.sleep(0)
        leashes.cut(NORTH)
        assert [await task for task in cut] == ["cut"] * 3
        assert not other.done()
        never.set()
        assert await other == "done"
    assert leashes.of(NORTH) == 0


@pytest.mark.asyncio
async def test_a_call_that_ends_by_itself_or_is_cancelled_is_no_cut() -> None:
    leashes = Leashes()
    async with leashes.held(NORTH):
        pass
    leashes.cut(NORTH)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01), leashes.held(NORTH):
            await asyncio.Event().wait()
    assert leashes.of(NORTH) == 0


@pytest.mark.asyncio
async def test_ten_thousand_wait_in_no_task_of_their_own_and_are_woken_together() -> None:
    polls = Polls()
    loop = asyncio.get_running_loop()
    before = len(asyncio.all_tasks())

    async def wait(number: int) -> Woken:
        with polls.listening(DeviceId(f"dev-{number}")) as poll:
            return await poll.woken(loop.time() + 60)

    async with asyncio.timeout(30), asyncio.TaskGroup() as group:
        waiting = [group.create_task(wait(number)) for number in range(10_000)]
        while polls.waiting < len(waiting):
            await asyncio.sleep(0)
        assert len(asyncio.all_tasks()) == before + len(waiting), "one task for each caller, and none beside"
        polls.wake(DeviceId("dev-7"))
        assert await waiting[7] is Woken.ALONE
        polls.wake_all()
    assert {task.result() for task in waiting} == {Woken.ALONE, Woken.ALL}
    assert polls.waiting == 0


@pytest.mark.asyncio
async def test_who_is_woken_before_it_waits_does_not_wait() -> None:
    polls = Polls()
    with polls.listening(NORTH) as poll:
        polls.wake_all()
        polls.wake(NORTH)
        polls.wake_all()
        assert await poll.woken(0.0) is Woken.ALONE, "that it was meant alone is not forgotten"
    with polls.listening(NORTH) as poll:
        assert await poll.woken(asyncio.get_running_loop().time()) is Woken.NOT
