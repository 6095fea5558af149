"""`flip-agent run` as a real process: small, up before everything else, and without loss when it is killed."""

import asyncio
import signal
import subprocess
import sys
from pathlib import Path

import msgspec
import psutil
import pytest
from agent_rig import Agent, eventually, until
from fake_hub import FakeHub, started

from flip_agent.desired_state import load_desired
from flip_agent.local.client import LocalClient
from flip_agent.local.messages import Work
from flip_wire.fleet import WorkNotice
from flip_wire.health import HealthReport
from flip_wire.telemetry import Priority, SessionEvent

ALLOWED = {
    *sys.stdlib_module_names,
    *{"flip_agent", "flip_runtime", "flip_wire"},
    *{"aiosqlite", "msgspec", "typing_extensions", "zstandard"},
}
"""Top-level packages that `flip-agent run` may hold: each has earned its memory."""
PROCESSES_OF_THEIR_OWN = ("flip_agent.federation", "flip_agent.inference.")
INTERPRETER = ("__main__", "_distutils_hack", "__editable__", "_virtualenv", "sitecustomize", "usercustomize")
"""What Python loads by itself, by how it is installed."""
IDLE_RSS = 32 * 2**20
"""Bytes."""


@pytest.fixture
def hub() -> FakeHub:
    return FakeHub()


def test_before_enrolment_it_is_up_and_says_so_and_goes_on_by_itself(folder: Path, hub: FakeHub) -> None:
    agent = Agent(folder)
    with started(hub), agent.running():
        until(lambda: (status := agent.status()) and "waiting for enrolment" in status.hub_detail)
        assert "not enrolled" in agent.call("status").stdout
        agent.enrol(hub)
        until(lambda: (status := agent.status()) and status.hub_connected)
        until(lambda: {"health", "state"} <= set(hub.kinds()))
    assert agent.log.read_text().count("waiting for enrolment") == 1


def test_without_the_hub_it_stays_up_says_so_once_and_goes_on_when_the_hub_appears(folder: Path, hub: FakeHub) -> None:
    agent = Agent(folder)
    with started(hub):
        agent.enrol(hub)
    with agent.running() as run:
        until(lambda: (status := agent.status()) and "unreachable" in status.hub_detail)
        hub.start(hub.port)
        until(lambda: "health" in hub.kinds())
        until(lambda: "hub found" in agent.log.read_text())
        assert agent.log.read_text().count("hub lost") == 1
        hub.stop()
        assert run.poll() is None


def test_unacked_events_survive_a_kill(folder: Path, hub: FakeHub) -> None:
    agent = Agent(folder)
    with started(hub):
        agent.enrol(hub)
    with agent.running() as run:
        until(lambda: (status := agent.status()) and status.health.outbox_depth == 2)  # health, state
        run.send_signal(signal.SIGKILL)
        run.wait()
    with agent.running():
        hub.start(hub.port)
        until(lambda: hub.kinds().count("health") == 2)
        hub.stop()
    epochs = {batch.epoch for batch in hub.batches}
    seqs = [event.seq for event in hub.events]
    assert len(epochs) == 1
    assert seqs == sorted(set(seqs))
    assert hub.kinds()[0] == "health"


def test_what_is_desired_is_kept_for_a_restart_without_the_hub(folder: Path, hub: FakeHub) -> None:
    agent = Agent(folder)
    with started(hub), agent.running():
        agent.enrol(hub)
        hub.want(work=[WorkNotice(run_id="run-7")])
        until(lambda: load_desired(agent.state).work == [WorkNotice(run_id="run-7")])
    with agent.running():
        until(lambda: (status := agent.status()) and status.reported.generation == 1)


@pytest.mark.asyncio
async def test_a_training_process_hears_of_work_and_its_events_reach_the_hub(folder: Path, hub: FakeHub) -> None:
    agent = Agent(folder)
    heard: list[object] = []

    async def hear(message: object) -> None:
        heard.append(message)

    with started(hub), agent.running():
        agent.enrol(hub)
        client = LocalClient(agent.run_socket, "train", list, hear)
        running = asyncio.create_task(client.run())
        try:
            await eventually(lambda: client.connected, within=30)
            hub.want(work=[WorkNotice(run_id="run-9")])
            await eventually(lambda: Work(run_ids=["run-9"]) in heard, within=30)
            await client.emit(
                Priority.FEDERATION, "session", SessionEvent(run_id="run-9", message_id="m", step="trained")
            )
            await eventually(lambda: "session" in hub.kinds(), within=30)
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)


def test_a_heartbeat_tells_the_health_of_the_device(folder: Path, hub: FakeHub) -> None:
    agent = Agent(folder, heartbeat=0.2)
    with started(hub), agent.running():
        agent.enrol(hub)
        until(lambda: hub.kinds().count("health") >= 3)
    reports = [msgspec.json.decode(event.body, type=HealthReport) for event in hub.events if event.kind == "health"]
    assert all(report.rss > 0 and report.disk_free > 0 for report in reports)
    assert reports[-1].uptime > reports[0].uptime


def test_it_holds_only_modules_of_the_allow_list_and_stays_small(folder: Path, hub: FakeHub) -> None:
    agent = Agent(folder, heartbeat=0.5)
    modules = folder / "modules"
    script = f"""
import sys
from flip_agent.cli import main
main(["run", "--config", {str(agent.config)!r}])
open({str(modules)!r}, "w").write("\\n".join(sys.modules))
"""
    with started(hub):
        agent.enrol(hub)
        run = subprocess.Popen([sys.executable, "-c", script], stderr=subprocess.DEVNULL)
        try:
            until(lambda: hub.kinds().count("health") >= 3)
            resident = psutil.Process(run.pid).memory_info().rss
            run.send_signal(signal.SIGTERM)
            assert run.wait(10) == 0
        finally:
            run.kill()
            run.wait()
    loaded = [name for name in modules.read_text().split() if not name.startswith(INTERPRETER)]
    assert {name.partition(".")[0] for name in loaded} - ALLOWED == set()
    assert [name for name in loaded if name.startswith(PROCESSES_OF_THEIR_OWN)] == []
    print(f"flip-agent run, idle: {resident / 2**20:.1f} MiB RSS")
    assert resident <= IDLE_RSS


def test_a_second_one_on_the_same_state_is_refused(folder: Path) -> None:
    agent = Agent(folder)
    with agent.running():
        until(agent.status)
        second = agent.call("run")
    assert second.returncode == 78
    assert f"another flip-agent run uses {agent.state}" in second.stderr


def test_sigterm_stops_it_and_its_children_within_ten_seconds(folder: Path) -> None:
    agent = Agent(folder, supervise=True)
    with agent.running() as run:
        until(agent.status)
        until(lambda: psutil.Process(run.pid).children(recursive=True))
        children = psutil.Process(run.pid).children(recursive=True)
        run.send_signal(signal.SIGTERM)
        assert run.wait(10) == 0
    assert psutil.wait_procs(children, timeout=1)[1] == []
    assert not agent.run_socket.exists()
