"""A pull that waits at the Fleet gateway is answered as soon as there is something, and nothing given is lost."""

import asyncio
import time
from pathlib import Path

import pytest

from flip_demo.ports import free_port
from flip_hub.federation.device_calls import AT_ONCE
from flip_hub.federation.gateway import Gateway
from integration.fleet_rig import device_client, hub_settings, running
from integration.gateway_rig import EMPTY, MESSAGE, PULL, Rig, rig_in, serving, until

pytestmark = pytest.mark.asyncio


async def test_a_waiting_pull_is_answered_as_soon_as_its_node_is_written_to(folder: Path) -> None:
    async with rig_in(folder) as rig, asyncio.TaskGroup() as group:
        rig.superlink.answers = [EMPTY, MESSAGE]
        waiting = group.create_task(rig.pull(wait=30))
        await until(lambda: rig.superlink.pulls == 1)
        rig.mailboxes.wake(["8"])
        rig.mailboxes.wake(["7"])
        async with asyncio.timeout(5):
            assert len((await waiting).messages_list) == 1
        assert (rig.superlink.pulls, rig.mailboxes.waiting) == (2, 0)


async def test_a_wake_between_the_look_and_the_wait_is_not_lost(folder: Path) -> None:
    async with rig_in(folder) as rig:
        rig.superlink.answers = [EMPTY, MESSAGE]
        rig.superlink.on_pull = lambda: rig.mailboxes.wake(["7"])
        async with asyncio.timeout(5):
            assert len((await rig.pull(wait=30)).messages_list) == 1


async def test_an_empty_pull_is_answered_when_its_wait_is_over_and_at_once_without_one(folder: Path) -> None:
    async with rig_in(folder) as rig:
        assert not (await rig.pull()).messages_list
        assert rig.superlink.pulls == 1
        started = time.monotonic()
        assert not (await rig.pull(wait=0.5)).messages_list
        assert 0.5 <= time.monotonic() - started < 5
        assert (await rig.post("/pull-messages", {**rig.key.headers(), "Flip-Wait": "soon"}, PULL)).status_code == 400


async def test_a_device_that_hangs_up_ends_its_wait(folder: Path) -> None:
    async with rig_in(folder) as rig:
        waiting = asyncio.create_task(rig.pull(wait=30))
        await until(lambda: rig.superlink.pulls == 1)
        waiting.cancel()
        await until(lambda: rig.mailboxes.waiting == 0)
        assert rig.superlink.pulls == 1


async def test_a_message_that_was_not_confirmed_is_given_once_more(folder: Path) -> None:
    async with rig_in(folder) as rig:
        rig.superlink.answers = [MESSAGE, EMPTY, MESSAGE]
        given = [len((await rig.pull()).messages_list) for _ in range(3)]
        assert given == [1, 1, 0]
        assert len((await rig.pull()).messages_list) == 1
        assert (await rig.post("/confirm-message-received", rig.key.headers())).status_code == 200
        assert not (await rig.pull()).messages_list


async def test_a_device_has_few_requests_at_once(folder: Path) -> None:
    async with rig_in(folder) as rig, asyncio.TaskGroup() as group:
        waiting = [group.create_task(rig.pull(wait=30)) for _ in range(AT_ONCE)]
        await until(lambda: rig.superlink.pulls == AT_ONCE)
        answer = await rig.post("/get-run", rig.key.headers())
        assert (answer.status_code, "retry-after" in answer.headers) == (429, True)
        rig.superlink.answers = [MESSAGE] * AT_ONCE
        rig.mailboxes.wake(["7"])
        await asyncio.wait(waiting)
        assert (await rig.post("/get-run", rig.key.headers())).status_code == 200


async def test_stopping_answers_the_waiting_pulls(folder: Path) -> None:
    settings = hub_settings(folder, fleet=free_port(), superlink=free_port())
    async with device_client(settings) as client:
        rig = Rig(settings, client)
        gateway = Gateway(settings, rig.registry, rig.registry, rig.mailboxes, rig.registry)
        async with serving(rig.superlink, settings.superlink.port):
            async with running(gateway.run(), settings.fleet.port):
                waiting = asyncio.create_task(rig.pull(wait=30))
                await until(lambda: rig.superlink.pulls == 1)
            assert not (await waiting).messages_list
