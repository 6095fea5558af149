"""What the rollout asks of `serve` can be cancelled at any moment."""

import asyncio

import pytest

from flip_agent.inference_peer import InferencePeer
from flip_agent.local.messages import FromRun, Serving
from flip_agent.reported import Reported
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
