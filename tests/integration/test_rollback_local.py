"""What `serve` and the command line say of rollbacks over the local socket, and what becomes durable of it."""

import asyncio
from pathlib import Path

import msgspec
import pytest
from agent_rig import eventually
from local_run import Peer, Run, run_parts

from flip_agent.local.ask import ask
from flip_agent.local.messages import (
    Models,
    ModelsRequest,
    Retry,
    RetryDone,
    Rollback,
    RollbackDone,
    RollbackKept,
    RolledBack,
)
from flip_agent.models.refused_file import RefusedFile
from flip_demo.perceptron import make_version
from flip_runtime.errors import Rejected
from flip_wire import models as wire
from flip_wire.models import Sha256
from flip_wire.telemetry import Event, Priority

pytestmark = pytest.mark.asyncio


def two_versions(run: Run) -> tuple[Sha256, Sha256]:
    first, second = (make_version(run.store, "digits", number, number) for number in (1, 2))
    run.store.activate("digits", first)
    run.store.activate("digits", second)
    return first, second


def verdict_on(manifest: Sha256) -> RolledBack:
    return RolledBack(model="digits", version=2, manifest=manifest, to_version=1, reason="accuracy 0.41", at=5.0)


async def told(run: Run) -> list[Event]:
    return await run.outbox.peek(Priority.ALERT, 10)


async def test_serve_s_rollback_is_durable_before_it_is_confirmed_and_told_once(folder: Path) -> None:
    async with run_parts(folder) as run:
        first, second = two_versions(run)
        for _ in range(2):  # it says it on each connection until it hears
            async with run.listening(), Peer(run, "serve", verdict_on(second)).running() as serve:
                await eventually(lambda serve=serve: serve.heard == [RollbackKept(manifest=second)])
                assert RefusedFile(folder / "models").of(second) is not None
                assert run.store.active("digits") == first
        (event,) = await told(run)
        body = msgspec.json.decode(event.body, type=wire.RolledBack)
        assert (event.kind, body.version, body.to_version, body.reason) == ("rollback", 2, 1, "accuracy 0.41")


async def test_a_rollback_that_the_disk_does_not_take_is_not_confirmed(folder: Path) -> None:
    async with run_parts(folder) as run:
        first, second = two_versions(run)
        in_the_way = folder / "models" / ".refused.json.part"
        in_the_way.mkdir()
        async with run.listening(), Peer(run, "serve", verdict_on(second)).running() as serve:
            await eventually(lambda: run.inference.arrivals.value >= 2)  # cut, and there again
            assert (serve.heard, run.store.active("digits")) == ([], second)
            in_the_way.rmdir()
            await eventually(lambda: serve.heard == [RollbackKept(manifest=second)])
            assert run.store.active("digits") == first


async def test_a_person_goes_back_looks_and_tries_again(folder: Path) -> None:
    async with run_parts(folder) as run, run.listening():
        two_versions(run)
        question = Rollback(model="", reason="x" * 10_000)
        done = await asyncio.to_thread(ask, run.socket, question, RollbackDone)
        assert (done.model, done.from_version, done.to_version) == ("digits", 2, 1)
        (listed,) = (await asyncio.to_thread(ask, run.socket, ModelsRequest(), Models)).models
        assert (listed.active, listed.previous, listed.wanted) == (1, None, None)
        (refused,) = listed.refused
        assert refused.reason.startswith("rolled back: by hand: xxx")
        assert len(refused.reason) < 600
        with pytest.raises(Rejected, match="no version before the active one"):
            await asyncio.to_thread(ask, run.socket, Rollback(model="", reason=""), RollbackDone)
        await eventually(lambda: all(each.told for each in run.refused.kept.value.values()))
        (again,) = (await asyncio.to_thread(ask, run.socket, Retry(model="digits"), RetryDone)).versions
        assert again.version == 2
        with pytest.raises(Rejected, match="no version of digits is refused"):
            await asyncio.to_thread(ask, run.socket, Retry(model="digits"), RetryDone)
        assert len(await told(run)) == 1
