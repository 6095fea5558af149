"""What rollout and rollback ask of `serve`, of the instance that holds the model, at the same time, and cancelled."""

import asyncio

import pytest

from flip_agent.inference_peer import InferencePeer
from flip_agent.inference_peers import InferencePeers
from flip_agent.instances import Instances
from flip_agent.local.messages import Activate, FromRun, Prepare, Prepared, Serving, Tried, Try
from flip_agent.reported import Reported
from flip_agent.settings import InferenceSection, InstanceSection
from flip_runtime.errors import Unavailable
from flip_wire.models import ModelAssignment, Sha256


@pytest.mark.asyncio
async def test_a_cancellation_that_meets_the_answer_is_not_lost() -> None:
    peer, asked = InferencePeer(Reported(0)), asyncio.Event()

    async def send(_: FromRun) -> None:
        asked.set()

    peer.attach(send)
    wanted = ModelAssignment(model="digits", version=1, manifest=Sha256("a" * 64), size=1)
    activating = asyncio.create_task(peer.activate(wanted))
    await asked.wait()
    peer.received(Serving(model="digits", version=1, since=0.0, url="http://127.0.0.1:8082"))
    activating.cancel()
    with pytest.raises(asyncio.CancelledError):
        await activating


def assigned(version: int, model: str = "digits") -> ModelAssignment:
    return ModelAssignment(model=model, version=version, manifest=Sha256("a" * 64), size=1)


@pytest.mark.asyncio
async def test_a_rollback_does_not_wait_for_a_trial_and_none_takes_the_other_s_answer() -> None:
    peer, asked = InferencePeer(Reported(0)), list[FromRun]()

    async def send(message: FromRun) -> None:
        asked.append(message)

    peer.attach(send)
    trial = asyncio.create_task(peer.try_out(assigned(2), 30.0))
    back = asyncio.create_task(peer.activate(assigned(1)))
    while len(asked) < 2:
        await asyncio.sleep(0)
    assert asked == [Try(model="digits", version=2), Activate(model="digits", version=1)]
    peer.received(Prepared(model="digits", version=2, reason=""))
    peer.received(Serving(model="digits", version=1, since=0.0, url=""))
    await back
    assert not trial.done()
    peer.received(Tried(model="digits", version=2, reason="agreement 0.4", detail="9 of 22 alike"))
    assert await trial == "agreement 0.4: 9 of 22 alike"


@pytest.mark.asyncio
async def test_each_model_is_asked_of_the_instance_that_holds_it() -> None:
    reported, asked = Reported(0), dict[str, list[FromRun]](rest=[], faces=[])
    section = InferenceSection(
        instances={"rest": InstanceSection(port=8082), "faces": InstanceSection(port=8083, models=["faces"])}
    )
    peers = InferencePeers(reported, Instances(section))
    assert peers.missing == ["rest", "faces"]

    async def to_rest(message: FromRun) -> None:
        asked["rest"].append(message)

    async def to_faces(message: FromRun) -> None:
        asked["faces"].append(message)

    peers.attach("rest", to_rest)
    peers.attach("faces", to_faces)
    assert (peers.missing, peers.arrivals.value) == ([], 2)
    preparing = asyncio.create_task(peers.of("faces").prepare(assigned(1, "faces")))
    while not asked["faces"]:
        await asyncio.sleep(0)
    assert asked == {"rest": [], "faces": [Prepare(model="faces", version=1, manifest=Sha256("a" * 64))]}
    for name, model in (("rest", "digits"), ("faces", "faces")):
        peers.instance(name).received(Serving(model=model, version=1, since=0.0, url=""))
    assert {each.model for each in reported.state.value.serving} == {"digits", "faces"}
    peers.instance("faces").detach(to_faces)
    with pytest.raises(Unavailable, match="went away"):
        await preparing
    assert ([each.model for each in reported.state.value.serving], peers.missing) == (["digits"], ["faces"])
