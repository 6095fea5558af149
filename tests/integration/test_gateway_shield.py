"""What need not reach the SuperLink does not; nothing that is written is ever missed, and nobody is given another's."""

import asyncio
import time
from pathlib import Path

import numpy as np
import pytest
from flwr.app import ArrayRecord
from flwr.proto.fleet_pb2 import PullMessagesRequest
from flwr.proto.run_pb2 import GetRunResponse

from integration.shield_rig import FAB, Device, fleet_in, until

pytestmark = pytest.mark.asyncio


def model(seed: int = 0, size: int = 100_000) -> ArrayRecord:
    return ArrayRecord([np.random.default_rng(seed).random(size, np.float32)])


async def test_an_idle_node_that_polls_or_waits_costs_the_superlink_nothing(folder: Path) -> None:
    async with fleet_in(folder) as fleet, fleet.superlink():
        device = await fleet.device()
        await fleet.told()
        await device.pull()
        asked = fleet.server.asked["pull-messages"]
        for _ in range(20):
            assert not (await device.pull()).messages_list
        assert not (await device.pull(wait=1.0)).messages_list
        assert fleet.server.asked["pull-messages"] == asked <= 1


async def test_what_is_written_at_any_moment_by_whomever_is_pulled_once_and_at_once(folder: Path) -> None:
    async with fleet_in(folder) as fleet, fleet.superlink():
        devices = [await fleet.device() for _ in range(4)]
        await fleet.told()
        sent: set[str] = set()
        got: list[str] = []

        async def pull(number: int) -> None:
            device = devices[number]
            while len(got) < 80:
                for message in (await device.pull(wait=5.0)).messages_list:
                    got.append(message.metadata.message_id)
                    await device.confirm(fleet.server.run_id, message.metadata.message_id)

        async def write() -> None:
            generator = np.random.default_rng(1)
            for number in range(80):
                node_id = devices[int(generator.integers(4))].node.node_id
                sent.add(fleet.server.write(node_id, model(number, size=3)).metadata.message_id)
                await asyncio.sleep(float(generator.random()) * 0.02)

        async with asyncio.timeout(60), asyncio.TaskGroup() as group:
            group.create_task(write())
            for number in range(4):
                group.create_task(pull(number))
        assert (sorted(got), fleet.server.asked["pull-messages"] < 200) == (sorted(sent), True)


async def test_what_was_written_while_there_were_no_news_is_found(folder: Path) -> None:
    async with fleet_in(folder) as fleet:
        for _ in range(2):
            async with fleet.superlink():
                device = await fleet.device()
                await fleet.told()
                waiting = asyncio.create_task(device.pull(wait=30.0))
                await until(lambda: fleet.mailboxes.waiting == 1)
                message = fleet.server.write(device.node.node_id, model(size=3))
                pulled = await waiting
                assert [each.metadata.message_id for each in pulled.messages_list] == [message.metadata.message_id]
                fleet.server.write(device.node.node_id, model(1, size=3))
            await until(lambda: not fleet.gateway.news.known)


async def test_run_app_and_objects_of_a_round_are_fetched_once_for_all_devices(folder: Path) -> None:
    async with fleet_in(folder) as fleet, fleet.superlink():
        fleet.registry.signatures = {"key": "signature"}
        devices = [await fleet.device() for _ in range(5)]
        await fleet.told()
        content, run_id = model(size=500_000), fleet.server.run_id
        for device in devices:
            fleet.server.write(device.node.node_id, content)
        pulled = [await device.pull(wait=10.0) for device in devices]
        fleet.server.asked.clear()
        got = await asyncio.gather(
            *(device.objects(run_id, each) for device, each in zip(devices, pulled, strict=True))
        )
        assert all(each.object_available for objects in got for each in objects)
        assert len({objects[0].object_content for objects in got}) == 1
        own = len(devices)  # each message is an object of its own
        assert fleet.server.asked["pull-object"] == own + len(got[0]) - 1
        runs = await asyncio.gather(*(device.run(run_id) for device in devices))
        assert {GetRunResponse.FromString(answer.content).run.run_id for answer in runs} == {run_id}
        fabs = await asyncio.gather(*(device.fab(run_id) for device in devices))
        assert {(answer.fab.content, answer.fab.verifications["key"]) for answer in fabs} == {(FAB, "signature")}
        assert (fleet.server.asked["get-run"], fleet.server.asked["get-fab"]) == (1, 1)


async def test_an_object_is_given_only_to_a_device_that_was_sent_a_message_made_of_it(folder: Path) -> None:
    async with fleet_in(folder) as fleet, fleet.superlink():
        one, other = await fleet.device(), await fleet.device()
        await fleet.told()
        message = fleet.server.write(one.node.node_id, model())
        run_id = fleet.server.run_id
        pulled = await one.pull(wait=10.0)
        objects = await one.objects(run_id, pulled)
        assert all(each.object_found for each in objects)
        refused = await other.objects(run_id, pulled)
        assert not any(each.object_found or each.object_content for each in refused)
        await one.confirm(run_id, message.metadata.message_id)
        assert not any(each.object_found for each in await one.objects(run_id, pulled))
        other.node = one.node
        answer = await other.run(run_id)
        assert answer.status_code == 401, "nor may a device speak for another's node where the gateway knows the answer"


async def test_an_object_that_is_still_being_sent_is_waited_for_by_one(folder: Path) -> None:
    async with fleet_in(folder) as fleet, fleet.superlink():
        devices = [await fleet.device() for _ in range(4)]
        await fleet.told()
        messages = [fleet.server.write(device.node.node_id, model(), send=False) for device in devices]
        pulled = [await device.pull(wait=10.0) for device in devices]
        part = pulled[0].message_object_trees[0].children[0].object_id
        fleet.server.asked.clear()
        waiting = [asyncio.create_task(device.object(fleet.server.run_id, part)) for device in devices]
        await until(lambda: fleet.server.asked["pull-object"] >= 2)
        fleet.server.send(messages[0])
        assert all([(await each).object_available for each in waiting])
        assert fleet.server.asked["pull-object"] < 8


async def test_a_message_that_is_confirmed_while_it_is_still_being_sent_is_kept_until_it_has_come(folder: Path) -> None:
    """As by a device that refuses the app, which needs no object to say so."""
    async with fleet_in(folder) as fleet, fleet.superlink():
        device, run_id = await fleet.device(), fleet.server.run_id
        message = fleet.server.write(device.node.node_id, model(), send=False)
        message_id = message.metadata.message_id
        pulled = await device.pull(wait=10.0)
        assert [each.metadata.message_id for each in pulled.messages_list] == [message_id]
        confirmed = asyncio.create_task(device.confirm(run_id, message_id))
        await until(lambda: fleet.server.asked["confirm-message-received"] >= 2)
        fleet.server.send(message)
        await confirmed
        assert fleet.server.state.object_store.get(message_id) is None
        assert not (await device.pull()).messages_list


async def test_a_message_of_which_another_run_has_sent_the_objects_is_kept_until_its_own_has(folder: Path) -> None:
    async with fleet_in(folder) as fleet, fleet.superlink():
        one, other = await fleet.device(), await fleet.device()
        messages = [fleet.server.write(device.node.node_id, model(), send=False) for device in (one, other)]
        fleet.server.send(messages[0])
        for device in (one, other):
            await device.pull(wait=10.0)
        await one.confirm(fleet.server.run_id, messages[0].metadata.message_id)
        confirmed = asyncio.create_task(other.confirm(fleet.server.run_id, messages[1].metadata.message_id))
        await until(lambda: fleet.server.asked["confirm-message-received"] >= 3)
        fleet.server.send(messages[1])
        await confirmed


async def test_the_end_of_a_run_is_known_within_a_second(folder: Path) -> None:
    async with fleet_in(folder) as fleet, fleet.superlink():
        device = await fleet.device()
        await fleet.told()
        await device.pull()
        assert (await device.run(fleet.server.run_id)).status_code == 200
        fleet.server.end_run()
        ended = time.monotonic()
        await until(lambda: not fleet.gateway.news.runs(str(fleet.server.run_id)))
        assert time.monotonic() - ended < 10
        assert (await device.run(fleet.server.run_id)).status_code >= 400


async def test_while_the_superlink_is_gone_every_call_is_told_to_try_again_and_then_all_goes_on(folder: Path) -> None:
    answers: list[tuple[int, bool]] = []

    async def ask(device: Device, run_id: int) -> None:
        while True:
            pull = PullMessagesRequest(node=device.node)
            for answer in (await device.ask("pull-messages", pull, **{"Flip-Wait": "1"}), await device.run(run_id)):
                answers.append((answer.status_code, "retry-after" in answer.headers))

    async with fleet_in(folder) as fleet:
        async with fleet.superlink():
            devices = [await fleet.device() for _ in range(4)]
            await fleet.told()
            asking = [asyncio.create_task(ask(device, fleet.server.run_id)) for device in devices]
            await until(lambda: len(answers) > 20)
        await until(lambda: answers.count((503, True)) > 40)
        async with fleet.superlink():
            await until(lambda: fleet.gateway.news.known)
            for task in asking:
                task.cancel()
            await asyncio.wait(asking)
            await devices[0].join()
            message = fleet.server.write(devices[0].node.node_id, model())
            pulled = await devices[0].pull(wait=10.0)
            assert [each.metadata.message_id for each in pulled.messages_list] == [message.metadata.message_id]
    # 401: the new SuperLink knows no node before it has joined
    assert set(answers) <= {(200, False), (503, True), (401, False)}
