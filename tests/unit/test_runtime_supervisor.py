"""A failing service is restarted; a fatal one ends them all."""

import asyncio
import logging

import pytest

from flip_runtime.backoff import Backoff
from flip_runtime.errors import ConfigError, Fatal
from flip_runtime.supervisor import Service, supervise

QUICK = Backoff(first=0.001, most=0.001)


@pytest.mark.asyncio
async def test_a_service_that_fails_is_run_again_and_the_failure_logged(caplog: pytest.LogCaptureFixture) -> None:
    runs = 0

    async def flaky() -> None:
        nonlocal runs
        runs += 1
        if runs < 3:
            raise ValueError("not yet")

    with caplog.at_level(logging.ERROR):
        await supervise([Service("flaky", flaky, QUICK)])
    assert runs == 3
    assert [vars(record)["failures"] for record in caplog.records] == [1, 2]


@pytest.mark.asyncio
@pytest.mark.parametrize("error", [Fatal("disk gone"), ConfigError("port taken")])
async def test_fatal_and_configuration_errors_end_every_service(error: Exception) -> None:
    cancelled = asyncio.Event()

    async def patient() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()

    async def broken() -> None:
        await asyncio.sleep(0)
        raise error

    with pytest.raises(type(error)):
        await supervise([Service("patient", patient), Service("broken", broken)])
    assert cancelled.is_set()


@pytest.mark.asyncio
async def test_a_service_whose_parts_fail_while_it_is_told_to_end_is_not_run_again() -> None:
    runs, ready = 0, asyncio.Event()

    async def part() -> None:
        try:
            ready.set()
            await asyncio.Event().wait()
        finally:
            raise OSError("the outbox stopped")

    async def parts() -> None:
        nonlocal runs
        runs += 1
        async with asyncio.TaskGroup() as group:
            group.create_task(part())

    supervised = asyncio.create_task(supervise([Service("parts", parts, QUICK)]))
    await ready.wait()
    supervised.cancel()
    async with asyncio.timeout(10):
        await asyncio.wait([supervised])
    assert supervised.cancelled()
    assert runs == 1


def test_backoff_doubles_its_ceiling_up_to_the_limit() -> None:
    backoff = Backoff(first=1, most=300)
    assert [backoff.ceiling(n) for n in (1, 2, 3, 9, 10, 1000)] == [1, 2, 4, 256, 300, 300]
    assert backoff.delay(3, draw=lambda: 0.5) == 2


@pytest.mark.asyncio
async def test_a_service_of_which_a_part_fails_is_run_again() -> None:
    runs = 0

    async def part() -> None:
        if runs < 3:
            raise OSError("not yet")

    async def parts() -> None:
        nonlocal runs
        runs += 1
        async with asyncio.TaskGroup() as group:
            group.create_task(part())

    await supervise([Service("of parts", parts, QUICK)])
    assert runs == 3
