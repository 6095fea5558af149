"""A model version is fetched, verified, checked by `serve` and only then served; the earlier one goes on until then."""

import asyncio
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from agent_rig import Agent, eventually
from fake_hub import FakeHub, started

from flip_agent.hub.client import HubClient
from flip_agent.hub.link import HubLink
from flip_agent.identity import load_identity
from flip_agent.inference_peer import InferencePeer
from flip_agent.local.messages import Activate, FromRun, Prepare, Prepared, Serving
from flip_agent.models.rollout import Rollout
from flip_agent.models.store import ModelStore
from flip_agent.reported import Reported
from flip_agent.watched import Watched
from flip_runtime.backoff import Backoff
from flip_wire.fleet import DesiredState
from flip_wire.models import ModelAssignment
from flip_wire.spans import Spans, trace_of_rollout

pytestmark = pytest.mark.asyncio


class Serve:
    """The inference server, as far as the rollout sees it."""

    def __init__(self, inference: InferencePeer) -> None:
        self._inference = inference
        self.refuses: set[int] = set()
        self.asked: list[FromRun] = []
        self.connect()

    def connect(self) -> None:
        self._inference.attach(self.hear)

    async def hear(self, message: FromRun) -> None:
        self.asked.append(message)
        match message:
            case Prepare():
                reason = "probe differs by 0.5" if message.version in self.refuses else ""
                self._inference.received(Prepared(model=message.model, version=message.version, reason=reason))
            case Activate():
                url = "http://127.0.0.1:8082"
                self._inference.received(Serving(model=message.model, version=message.version, since=1.0, url=url))
            case _:
                raise AssertionError(message)


class Device:
    def __init__(self, store: ModelStore, inference: InferencePeer, reported: Reported) -> None:
        self.store = store
        self.desired = Watched(DesiredState(generation=0))
        self.inference = inference
        self.reported = reported
        self.serve = Serve(inference)
        self.spans: list[Spans] = []

    async def hear_spans(self, spans: Spans) -> None:
        self.spans.append(spans)

    def want(self, *models: ModelAssignment) -> None:
        self.desired.set(DesiredState(generation=self.desired.value.generation + 1, models=list(models)))

    def served(self) -> list[int]:
        return [each.version for each in self.reported.state.value.serving]

    def failures(self) -> Sequence[str]:
        return [failure.reason for failure in self.reported.state.value.failures]


@asynccontextmanager
async def enrolled(folder: Path, hub: FakeHub, *, only_known: bool = False) -> AsyncGenerator[Device]:
    """`only_known`: as in a reduced mode."""
    agent = Agent(folder)
    if load_identity(agent.state) is None:
        await asyncio.to_thread(agent.enrol, hub)
    identity = load_identity(agent.state)
    assert identity is not None
    store = ModelStore(agent.state / "models")
    store.create()
    client = HubClient(identity, agent.state, HubLink())
    reported = Reported(0)
    inference = InferencePeer(reported)
    device = Device(store, inference, reported)
    rollout = Rollout(
        *(store, client, device.desired, inference, reported, device.hear_spans, Backoff(first=0.05, most=0.2)),
        only=store.knows if only_known else None,
    )
    task = asyncio.create_task(rollout.run())
    try:
        async with asyncio.timeout(60):
            yield device
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        client.close()


@pytest.fixture
def hub() -> FakeHub:
    return FakeHub()


async def test_a_version_that_passes_everything_is_served(folder: Path, hub: FakeHub) -> None:
    first = hub.add_version(1)
    with started(hub):
        async with enrolled(folder, hub) as device:
            device.want(first)
            await eventually(lambda: device.served() == [1])
            assert device.store.active("digits") == first.manifest
            assert device.failures() == []


async def test_a_download_that_is_cut_goes_on_where_it_ended(folder: Path, hub: FakeHub) -> None:
    first = hub.add_version(1, size=300_000)
    weights = hub.weights_of(first)
    with started(hub):
        async with enrolled(folder, hub) as device:
            for sha256 in set(hub.artifacts) - {weights}:  # so that the cut falls into the weights
                device.store.blob(sha256).write_bytes(hub.artifacts[sha256])
            hub.cut_after = 100_000
            device.want(first)
            await eventually(lambda: device.served() == [1])
    assert hub.ranges == ["bytes=0-", "bytes=100000-"]


async def test_a_file_whose_hash_is_wrong_is_never_admitted_and_the_earlier_version_goes_on(
    folder: Path, hub: FakeHub
) -> None:
    first, second = hub.add_version(1), hub.add_version(2)
    weights = hub.weights_of(second)
    good = hub.artifacts[weights]
    hub.artifacts[weights] = bytes(len(good))
    with started(hub):
        async with enrolled(folder, hub) as device:
            device.want(first)
            await eventually(lambda: device.served() == [1])
            device.want(second)
            await eventually(lambda: any("has hash" in reason for reason in device.failures()))
            assert device.served() == [1]
            assert device.store.active("digits") == first.manifest
            assert not device.store.holds(weights)
            hub.artifacts[weights] = good
            await eventually(lambda: device.served() == [2])
            assert device.failures() == []


async def test_more_bytes_than_announced_are_not_stored(folder: Path, hub: FakeHub) -> None:
    first = hub.add_version(1)
    weights = hub.weights_of(first)
    hub.artifacts[weights] += b"more"
    with started(hub):
        async with enrolled(folder, hub) as device:
            device.want(first)
            await eventually(lambda: any("longer" in reason for reason in device.failures()))
            assert not device.store.holds(weights)


async def test_a_version_that_serve_refuses_is_reported_and_not_tried_again(folder: Path, hub: FakeHub) -> None:
    first, second, third = hub.add_version(1), hub.add_version(2), hub.add_version(3)
    with started(hub):
        async with enrolled(folder, hub) as device:
            device.serve.refuses = {2}
            device.want(first)
            await eventually(lambda: device.served() == [1])
            device.want(second)
            await eventually(lambda: device.failures() == ["probe differs by 0.5"])
            assert device.store.active("digits") == first.manifest
            assert device.served() == [1]
            device.serve.connect()
            device.want(third)
            await eventually(lambda: device.served() == [3])
            assert device.failures() == []
    asked = [message.version for message in device.serve.asked if isinstance(message, Prepare)]
    assert asked == [1, 2, 3]


async def test_without_an_inference_server_the_version_waits(folder: Path, hub: FakeHub) -> None:
    first = hub.add_version(1)
    with started(hub):
        async with enrolled(folder, hub) as device:
            device.inference.detach(device.serve.hear)
            device.want(first)
            await eventually(lambda: device.store.holds(hub.weights_of(first)))
            assert device.store.active("digits") is None
            device.serve.connect()
            await eventually(lambda: device.served() == [1])


async def test_a_restarted_inference_server_is_asked_again(folder: Path, hub: FakeHub) -> None:
    first = hub.add_version(1)
    with started(hub):
        async with enrolled(folder, hub) as device:
            device.want(first)
            await eventually(lambda: device.served() == [1])
            device.inference.detach(device.serve.hear)
            assert device.served() == []
            device.serve.connect()
            await eventually(lambda: device.served() == [1])


async def test_old_files_go_once_a_newer_version_is_served(folder: Path, hub: FakeHub) -> None:
    versions = [hub.add_version(number) for number in (1, 2, 3)]
    with started(hub):
        async with enrolled(folder, hub) as device:
            for number, version in enumerate(versions, 1):
                device.want(version)
                await eventually(lambda number=number: device.served() == [number])
            await eventually(lambda: not device.store.holds(hub.weights_of(versions[0])))
            assert device.store.holds(hub.weights_of(versions[1])), "the previous version stays, for a rollback"


async def test_after_too_many_failures_the_hub_can_go_back_to_the_version_before_and_to_no_new_one(
    folder: Path, hub: FakeHub
) -> None:
    first, second, third = (hub.add_version(version) for version in (1, 2, 3))
    with started(hub):
        async with enrolled(folder, hub) as device:
            for wanted in (first, second):
                device.want(wanted)
                await eventually(lambda wanted=wanted: device.served() == [wanted.version])
        downloads = len(hub.ranges)
        async with enrolled(folder, hub, only_known=True) as device:
            device.want(third)
            device.want(first)
            await eventually(lambda: device.served() == [1])
            assert device.store.active("digits") == first.manifest
            device.want(third)
            await asyncio.sleep(0)
            assert device.served() == [1]
    assert len(hub.ranges) == downloads


async def test_where_the_time_of_a_rollout_went_is_told_once_it_is_over(folder: Path, hub: FakeHub) -> None:
    first, second = hub.add_version(1), hub.add_version(2)
    with started(hub):
        async with enrolled(folder, hub) as device:
            device.serve.refuses = {2}
            began = time.time()
            device.want(first)
            await eventually(lambda: len(device.spans) == 1)
            device.want(second)
            await eventually(lambda: len(device.spans) == 2)
    served, refused = ({span.name: span for span in told.spans} for told in device.spans)
    root = served["rollout"]
    assert list(served) == ["rollout", "fetch", "prepare", "activate"]
    assert {span.trace_id for span in served.values()} == {trace_of_rollout(first.manifest)}
    assert root.attributes == {"model": "digits", "version": "1"}
    assert began - 1 <= root.start <= root.start + root.duration <= time.time() + 1
    assert sum(served[name].duration for name in ("fetch", "prepare", "activate")) <= root.duration + 0.01
    assert list(refused) == ["rollout", "fetch", "prepare"]
    assert refused["rollout"].error == refused["prepare"].error == "probe differs by 0.5"
