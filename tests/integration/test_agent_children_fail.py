"""A child that cannot start is no secret: `status`, `doctor` and the hub say so until the cause is gone."""

import signal
import socket
from pathlib import Path

import msgspec
from agent_rig import Agent, until
from fake_hub import FakeHub, started

from flip_agent.looks import Verdict
from flip_demo.ports import free_port
from flip_wire.fleet import ReportedState, WorkNotice
from flip_wire.health import HealthReport


def conditions(agent: Agent) -> dict[str, str]:
    status = agent.status()
    return {} if status is None else {each.code: each.text for each in status.health.conditions}


def told(hub: FakeHub, agent: Agent) -> set[str]:
    """Codes of what the hub was told last; asking for the status has the device look at once."""
    agent.status()
    reports = [msgspec.json.decode(event.body, type=HealthReport) for event in hub.events if event.kind == "health"]
    return {condition.code for condition in reports[-1].conditions} if reports else set()


def held(hub: FakeHub) -> str:
    states = [msgspec.json.decode(event.body, type=ReportedState) for event in hub.events if event.kind == "state"]
    return states[-1].held_because if states else ""


def examined(agent: Agent) -> tuple[int, dict[str, Verdict]]:
    done = agent.call("doctor", "--json")
    verdicts = msgspec.json.decode(done.stdout, type=list[Verdict])
    return done.returncode, {verdict.subject: verdict for verdict in verdicts}


def test_train_that_refuses_its_configuration_is_told_of_and_keeps_the_device_out_of_runs(folder: Path) -> None:
    hub, agent = FakeHub(), Agent(folder, supervise=True)
    agent.configure("inference", port=free_port())
    agent.configure("federation", trusted_app_keys=["junk"])
    with started(hub), agent.running() as run:
        agent.enrol(hub)
        hub.want(work=[WorkNotice(run_id="run-1")])
        until(lambda: "train-fails" in told(hub, agent), within=120)
        until(lambda: "federation.trusted_app_keys: 'junk'" in held(hub), within=60)
        said = conditions(agent)["train-fails"]
        assert "flip-agent train does not start: federation.trusted_app_keys: 'junk'" in said
        assert "SIGHUP" in said
        assert "Training keeps failing: flip-agent train does not start" in agent.call("status").stdout
        rc, verdicts = examined(agent)
        assert (rc, verdicts["train"].state) == (1, "warning")
        agent.config.write_text(agent.config.read_text().replace('["junk"]', "[]"))
        run.send_signal(signal.SIGHUP)
        until(lambda: "train-fails" not in told(hub, agent) and held(hub) == "", within=60)
        until(lambda: "training session" in (agent.state / "logs" / "train.log").read_text(), within=60)
        assert "train-fails" not in conditions(agent)


def test_serve_without_its_port_is_told_of_and_comes_back_when_it_is_free(folder: Path) -> None:
    hub, agent, port = FakeHub(), Agent(folder, supervise=True), free_port()
    agent.configure("inference", port=port)
    with started(hub), socket.create_server(("127.0.0.1", port)) as other, agent.running() as run:
        agent.enrol(hub)
        until(lambda: "serve-fails" in told(hub, agent), within=120)
        assert f"cannot listen on port {port}" in conditions(agent)["serve-fails"]
        rc, verdicts = examined(agent)
        assert (rc, verdicts["serve"].state) == (1, "warning")
        assert held(hub) == "", "it can train"
        other.close()
        run.send_signal(signal.SIGHUP)
        until(lambda: "listening" in (agent.state / "logs" / "serve.log").read_text(), within=60)
        until(lambda: "serve-fails" not in told(hub, agent), within=60)
