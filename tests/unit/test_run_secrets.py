"""What secure aggregation leaves on a device: nothing of a run that is over, and one state where it has new numbers."""

import asyncio
from pathlib import Path
from typing import Any, cast

import pytest
from flwr.app import ConfigRecord

from flip_agent.federation.app_store import AppStore
from flip_agent.federation.flower import Instruction, Reply, Run, context, context_state
from flip_agent.federation.mods.secure_update import STATE
from flip_agent.federation.run_link import RunLink
from flip_agent.federation.run_secrets import forget_secrets
from flip_agent.federation.session import Session
from flip_agent.federation.session_store import SessionStore
from flip_agent.federation.settlement import Settlement
from flip_agent.federation.steps import Step
from flip_agent.federation.warm_worker import WarmWorker
from flip_update.secagg.members import Stage
from secagg_lab import Lab

ME = "device-0"


def state_of(records: dict[str, ConfigRecord]) -> bytes:
    around = context(run_id="1", node_id="1", node_config={}, run_config={}, state=b"")
    around.state.update(records)
    return context_state(around)


def keep(store: SessionStore, run_id: str, content: bytes) -> None:
    """As the reply to a message does."""
    message_id = f"m{run_id}"
    store.keep_run(Run(run_id=run_id, fab_hash="f" * 64, overrides={}))
    store.accept(Instruction(run_id=run_id, node_id="7", message_id=message_id, message=b"", tree=b""))
    store.make_ready(message_id, Reply(message=b"", tree=b""), [], context=content, seconds=0.0)


def test_a_run_that_is_over_leaves_no_secret_and_all_that_the_app_has_kept(folder: Path) -> None:
    lab = Lab(5)
    lab.until(Stage.REVEAL)
    secret = lab.device(ME).self_seed
    secure = state_of({STATE: ConfigRecord({"state": lab.states[ME]}), "own": ConfigRecord({"steps": 7})})
    plain = state_of({"own": ConfigRecord({"steps": 3})})
    assert secret in secure
    with SessionStore(folder / "session.db") as store:
        keep(store, "1", secure)
        keep(store, "2", plain)
        keep(store, "3", b"")
        forget_secrets(store)
        after = context(run_id="1", node_id="1", node_config={}, run_config={}, state=store.context("1")).state
        assert secret not in store.context("1")
        assert after["own"] == ConfigRecord({"steps": 7})
        assert (store.context("2"), store.context("3")) == (plain, b"")
        forget_secrets(store)
    assert secret not in (folder / "session.db").read_bytes()


def test_a_run_that_goes_on_under_another_number_takes_its_state_along(folder: Path) -> None:
    with SessionStore(folder / "session.db") as store:
        for run_id in ("1", "2", "3"):
            keep(store, run_id, b"")
        store.lasts("1", "run")
        store.keep_context("1", b"secrets")
        for earlier, later in (("1", "2"), ("2", "3")):
            store.lasts(later, "run")
            assert (store.context(earlier), store.context(later)) == (b"", b"secrets"), "they are in one place alone"
        store.lasts("1", "run")
        assert store.context("1") == b""


@pytest.mark.asyncio
@pytest.mark.parametrize("announced", [None, frozenset[str]()])
async def test_a_session_that_leaves_for_want_of_work_forgets_secrets_once_it_was_told_so(
    folder: Path, announced: frozenset[str] | None
) -> None:
    lab = Lab(5)
    lab.until(Stage.REVEAL)
    with SessionStore(folder / "session.db") as store:
        keep(store, "1", state_of({STATE: ConfigRecord({"state": lab.states[ME]})}))
        store.advance("m1", Step.FORGOTTEN)
        link = RunLink(folder / "no.sock", store)
        link.work.set(announced)
        nobody = cast("Any", None)  # it is not asked anything
        session = Session(
            store,
            nobody,
            nobody,
            WarmWorker(AppStore(folder / "apps", trusted=nobody), nobody),
            Settlement(store, nobody, link),
            link,
            idle_exit=0.0,
            lease=60.0,
        )
        async with asyncio.timeout(30):
            await session.run()
        assert (lab.device(ME).self_seed in store.context("1")) == (announced is None)
