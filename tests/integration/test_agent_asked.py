"""What the hub asks of a real agent: it does it once, tells what came of it, and survives its own restart."""

import time
from pathlib import Path

import msgspec
import pytest
import zstandard
from agent_rig import Agent, until
from fake_hub import FakeHub, started

from flip_agent.actions.follow import LONGEST
from flip_wire.actions import Action, ActionId, ActionResult, Outcome
from flip_wire.telemetry import LogLines


@pytest.fixture
def hub() -> FakeHub:
    return FakeHub()


def _results(hub: FakeHub) -> dict[str, ActionResult]:
    """An event that a killed agent did not know to be acknowledged comes again, with its number."""
    events = {event.seq: event for event in hub.events if event.kind == "action"}.values()
    told = [msgspec.json.decode(event.body, type=ActionResult) for event in events]
    assert len({result.id for result in told}) == len(told), "each is told once"
    return {result.id: result for result in told}


def _action(name: str, kind: str, **more: object) -> Action:
    fields = {"id": f"act-{name}", "kind": kind, "expires_at": time.time() + 600, **more}
    return msgspec.convert(fields, Action)


def test_it_looks_after_itself_collects_its_logs_and_says_what_it_does_not_know(folder: Path, hub: FakeHub) -> None:
    agent = Agent(folder)
    with started(hub):
        agent.enrol(hub)
        (agent.state / "logs").mkdir()
        (agent.state / "logs" / "serve.log").write_text("x" * 3 * 2**20 + "\nthe last thing that serve said\n")
        hub.want(
            actions=[
                _action("1", "doctor"),
                _action("2", "collect-logs"),
                _action("3", "make coffee"),
                _action("4", "rollback", model="digits"),
                _action("5", "doctor", expires_at=time.time() - 1),
            ]
        )
        with agent.running():
            until(lambda: len(_results(hub)) == 5, within=120)
            hub.want(models=[])  # they are named once more: the hub has the results, but has not said so
            until(lambda: (status := agent.status()) and status.reported.generation == hub.desired.generation)
        results = _results(hub)
    assert results["act-1"].outcome is Outcome.DONE
    assert "daemon" in results["act-1"].text, "the doctor asks the daemon, too"
    text = zstandard.decompress(results["act-2"].log, max_output_size=2**24).decode()
    assert "the last thing that serve said" in text
    assert "action begins" in text, "the daemon's own log, where it is a file"
    assert "update it" in results["act-3"].text
    assert results["act-4"].outcome is Outcome.FAILED
    assert results["act-5"].outcome is Outcome.EXPIRED


def test_it_begins_anew_as_the_same_process_where_nobody_restarts_it(folder: Path, hub: FakeHub) -> None:
    agent = Agent(folder)
    with started(hub):
        agent.enrol(hub)
        with agent.running() as process:
            until(lambda: agent.status())
            hub.want(actions=[_action("anew", "restart")])
            until(lambda: "act-anew" in _results(hub), within=60)
            assert process.poll() is None, "it is there under the same number"
            assert _results(hub)["act-anew"].outcome is Outcome.DONE
            until(lambda: agent.status())
            hub.want(models=[])
            until(lambda: (status := agent.status()) and status.reported.generation == hub.desired.generation)
    log = agent.log.read_text()
    assert log.count("restarting") == 1
    assert log.count("stopped") == 1


def test_under_systemd_it_ends_and_leaves_the_rest_to_it(folder: Path, hub: FakeHub) -> None:
    agent = Agent(folder)
    with started(hub):
        agent.enrol(hub)
        hub.want(actions=[_action("anew", "restart")])
        with agent.running(script='SYSTEMD_EXEC_PID=$$ exec "$@"') as process:
            assert process.wait(timeout=60) == 0
        assert _results(hub) == {}, "the next life tells"
        with agent.running():
            until(lambda: "act-anew" in _results(hub), within=60)


def test_a_killed_agent_does_not_repeat_what_it_has_done(folder: Path, hub: FakeHub) -> None:
    agent = Agent(folder)
    with started(hub):
        agent.enrol(hub)
        hub.want(actions=[_action("once", "doctor")])
        with agent.running() as process:
            until(lambda: "act-once" in _results(hub), within=60)
            process.kill()
        with agent.running():
            until(lambda: agent.status())
            hub.want(actions=[_action("once", "doctor"), _action("later", "make coffee")])
            until(lambda: "act-later" in _results(hub), within=60)
    assert agent.log.read_text().count("action begins") == 1
    assert ActionId("act-once") in _results(hub)


def test_its_logs_are_followed_for_a_while_as_they_are_written(folder: Path, hub: FakeHub) -> None:
    agent = Agent(folder)
    with started(hub):
        agent.enrol(hub)
        (agent.state / "logs").mkdir()
        log = agent.state / "logs" / "serve.log"
        log.write_text("written before\n")
        hub.want(actions=[_action("follow", "follow-logs")])
        with agent.running():
            until(lambda: "written before" in _lines(hub, "serve.log"), within=30)
            with log.open("a") as file:
                file.write("written meanwhile\n" + "x" * 5000 + "\n" + "again\n" * 500)
            until(lambda: "written meanwhile" in _lines(hub, "serve.log"), within=30)
            until(lambda: _left_out(hub) > 0, within=30)
            until(lambda: any("action begins" in line for line in _lines(hub, agent.log.name)), within=30)
        assert max(map(len, _lines(hub, "serve.log"))) == LONGEST
        assert _results(hub)["act-follow"].outcome is Outcome.DONE


def test_a_model_is_tried_as_an_app_on_the_device_would(folder: Path, hub: FakeHub) -> None:
    agent = Agent(folder)
    with started(hub):
        agent.enrol(hub)
        hub.want(actions=[_action("try", "try", model="digits", input='{"inputs": []}'), _action("bare", "try")])
        with agent.running():
            until(lambda: len(_results(hub)) == 2, within=60)
    assert _results(hub)["act-try"].outcome is Outcome.FAILED
    assert "does not serve digits" in _results(hub)["act-try"].text
    assert "nothing to try" in _results(hub)["act-bare"].text


def _told_lines(hub: FakeHub) -> list[LogLines]:
    return [msgspec.json.decode(event.body, type=LogLines) for event in hub.events if event.kind == "log"]


def _lines(hub: FakeHub, source: str) -> list[str]:
    return [line for told in _told_lines(hub) if told.source == source for line in told.lines]


def _left_out(hub: FakeHub) -> int:
    return sum(told.left_out for told in _told_lines(hub))
