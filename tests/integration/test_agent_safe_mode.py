"""A real `flip-agent run` that is killed again and again gives up what is optional, and says so."""

import contextlib
import signal
import subprocess
from pathlib import Path

import msgspec
import psutil
from agent_rig import Agent, until
from fake_hub import FakeHub, started

from flip_agent.start_counter import FILE, Starts
from flip_demo.ports import free_port
from flip_wire.health import HealthReport, Severity


def mode_of(agent: Agent, run: subprocess.Popen[bytes]) -> str:
    """Once the optional services of that mode have had their chance."""
    until(agent.status, within=60)
    until(lambda: (status := agent.status()) and status.reported.mode, within=60)
    status = agent.status()
    assert status is not None
    if status.reported.mode == "normal":
        until(lambda: serving(run), within=60)
    return status.reported.mode


def serving(run: subprocess.Popen[bytes]) -> list[psutil.Process]:
    """Other children sign tokens, and are gone in a moment."""
    with contextlib.suppress(psutil.NoSuchProcess):
        return [child for child in psutil.Process(run.pid).children() if "serve" in child.cmdline()]
    return []


def killed_quickly(agent: Agent) -> str:
    """Its mode in that short life."""
    with agent.running() as run:
        mode = mode_of(agent, run)
        children = serving(run)
        assert bool(children) == (mode == "normal"), "`serve` runs in the normal mode alone"
        run.send_signal(signal.SIGKILL)
        run.wait()
        psutil.wait_procs(children, timeout=30)
    return mode


def test_the_third_quick_kill_reduces_the_fifth_leads_to_safe_mode_and_a_restart_leaves_it(folder: Path) -> None:
    hub = FakeHub()
    agent = Agent(folder, supervise=True, heartbeat=0.5)
    agent.config.write_text(f"{agent.config.read_text()}\n[inference]\nport = {free_port()}\n")
    with started(hub):
        agent.enrol(hub)
        assert [killed_quickly(agent) for _ in range(6)] == [*["normal"] * 3, *["reduced"] * 2, "safe"]
        with agent.running() as run:
            assert mode_of(agent, run) == "safe"
            until(lambda: ("safe-mode", Severity.CRITICAL) in _conditions(hub))
            assert "critical" in agent.call("status").stdout
            assert "mode safe" in agent.call("doctor").stdout
            run.send_signal(signal.SIGTERM)
            assert run.wait(60) == 0
        with agent.running() as run:
            assert mode_of(agent, run) == "normal"


def test_a_start_is_counted_before_anything_can_go_wrong(folder: Path) -> None:
    agent = Agent(folder)
    agent.state.mkdir()
    (agent.state / "outbox.db").mkdir()  # no outbox can be opened there
    for _ in range(3):
        assert agent.call("run").returncode != 0
    assert msgspec.json.decode((agent.state / FILE).read_bytes(), type=Starts).unsettled == 3


def test_a_configuration_that_is_refused_counts_for_nothing(folder: Path) -> None:
    agent = Agent(folder)
    agent.state.mkdir()
    (agent.state / "identity.json").write_text("{")
    for _ in range(4):
        assert agent.call("run").returncode == 78
    assert msgspec.json.decode((agent.state / FILE).read_bytes(), type=Starts).unsettled == 0


def _conditions(hub: FakeHub) -> set[tuple[str, Severity]]:
    reports = [msgspec.json.decode(event.body, type=HealthReport) for event in hub.events if event.kind == "health"]
    return {(condition.code, condition.severity) for report in reports for condition in report.conditions}
