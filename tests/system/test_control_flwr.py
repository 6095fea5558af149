"""Flower's own command line, with an account of the hub: what its role allows, and nobody without one."""

import asyncio
import json
from collections.abc import AsyncGenerator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
import pytest_asyncio

from flip_hub.auth.permissions import Role
from flip_hub.federation.schemas import Run, RunStatus
from integration.control_rig import ControlRig, control_rig

pytestmark = pytest.mark.asyncio(loop_scope="module")

APP = Path(__file__).parents[1] / "apps" / "stock"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def rig(mongo_url: str) -> AsyncGenerator[ControlRig]:
    """With one device, and an operator and a viewer who have logged in; their tokens are renewed all the time."""
    with TemporaryDirectory(prefix="flip-") as folder:
        async with control_rig(Path(folder), mongo_url, access_lifetime=60.0) as rig:
            await rig.hub.enrol("north")
            await asyncio.gather(rig.log_in(Role.OPERATOR), rig.log_in(Role.VIEWER))
            yield rig


async def started(rig: ControlRig) -> Run:
    """A run that the operator has started."""
    said = await rig.flwr(Role.OPERATOR, "run", str(APP), "hub", "--format", "json").says()
    run = await rig.store.run_of_flower(json.loads(said[said.index("{") :])["run-id"])
    assert run is not None
    return run


async def test_an_operator_runs_lists_and_stops_and_the_hub_knows_who_it_was(rig: ControlRig) -> None:
    run = await started(rig)
    assert (run.started_by, run.status) == ("operator", RunStatus.PENDING)
    assert run.id in [notice.run_id for notice in (await rig.hub.core.devices.desired()).work]
    listed = json.loads(await rig.flwr(Role.VIEWER, "list", "--format", "json").says())["runs"]
    assert (listed[0]["run-id"], listed[0]["status"]) == (run.flower_run_id, "pending")
    assert "successfully stopped" in await rig.flwr(Role.OPERATOR, "stop", run.flower_run_id).says()
    assert (await rig.runs.detail(run.id)).run.status is RunStatus.STOPPED
    assert "has ended" in await rig.flwr(Role.OPERATOR, "stop", run.flower_run_id).says(1)
    assert "finished:stopped" in await rig.flwr(Role.VIEWER, "list", "--run-id", run.flower_run_id).says()


async def test_a_log_is_streamed_while_the_run_goes_on_and_kept_when_it_has_ended(rig: ControlRig) -> None:
    run = await started(rig)
    async with rig.flwr(Role.VIEWER, "log", run.flower_run_id).running() as log:
        rig.flower.log_lines.put_nowait("the first line\n")
        await log.printed("the first line")
        rig.flower.log_lines.put_nowait("the second line\n")
        await log.printed("the second line")
        rig.flower.log_lines.put_nowait("")
        assert await log.ended() == 0
    rig.flower.text = "all that it wrote\n"
    await rig.runs.stop(run.id)
    rig.flower.runs.clear()  # the SuperLink has forgotten it
    assert "all that it wrote" in await rig.flwr(Role.VIEWER, "log", run.flower_run_id).says()
    assert run.flower_run_id in await rig.flwr(Role.VIEWER, "list", "--format", "json").says()


async def test_a_viewer_and_a_stranger_start_and_stop_nothing_and_are_told_why(rig: ControlRig) -> None:
    run = await started(rig)
    assert "needs runs:operate" in await rig.flwr(Role.VIEWER, "run", str(APP), "hub").says(1)
    assert "needs runs:operate" in await rig.flwr(Role.VIEWER, "stop", run.flower_run_id).says(1)
    for call in (["run", str(APP), "hub"], ["stop", run.flower_run_id], ["list"], ["log", run.flower_run_id]):
        assert "flwr login" in await rig.flwr("stranger", *call).says(1)
    assert (await rig.runs.detail(run.id)).run.status is RunStatus.PENDING
    assert (await rig.store.newest(0, 1))[0] == run


async def test_what_the_hub_does_otherwise_is_refused_with_its_own_way(rig: ControlRig) -> None:
    key = rig.homes / "key.pub"
    key.write_text("no key at all")
    assert "one federation" in await rig.flwr(Role.OPERATOR, "federation", "list").says(1)
    assert "models" in await rig.flwr(Role.OPERATOR, "pull", "1").says(1)
    assert "north" in await rig.flwr(Role.VIEWER, "supernode", "list").says()


async def test_a_login_that_is_refused_in_the_console_gives_nothing(rig: ControlRig) -> None:
    async with rig.flwr("eve", "login").running() as login:
        code = (await login.printed("/confirm/")).rpartition("/confirm/")[2].strip()
        await rig.hub.core.people.terminal_logins.decide(code, "admin", confirmed=False)
        await login.printed("was refused")
        assert await login.ended() == 1
    assert "flwr login" in await rig.flwr("eve", "list").says(1)


async def test_logging_out_everywhere_ends_the_command_line_too_also_a_log_that_is_streamed(rig: ControlRig) -> None:
    run = await started(rig)
    async with rig.flwr(Role.OPERATOR, "log", run.flower_run_id).running() as log:
        rig.flower.log_lines.put_nowait("a line\n")
        await log.printed("a line")
        await rig.hub.core.people.auth.end_all("operator")
        assert await log.ended(within=60.0) == 1
    assert "log in again" in await rig.flwr(Role.OPERATOR, "list").says(1)
