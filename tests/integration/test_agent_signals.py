"""What systemd hears of a real `flip-agent run`, and what SIGHUP and SIGTERM do to it."""

import asyncio
import contextlib
import signal
import socket
import threading
import time
from collections.abc import Generator
from pathlib import Path

import pytest
from agent_rig import Agent, eventually, until
from fake_hub import FakeHub, started

from flip_agent.hub.client import HubClient
from flip_agent.hub.link import HubLink
from flip_agent.identity import load_identity
from flip_agent.outbox.last_chance import delivered
from flip_agent.outbox.outbox import Outbox
from flip_agent.progress import Progress
from flip_agent.uplink import Uplink
from flip_wire.telemetry import Priority, SessionEvent

EVENT = SessionEvent(run_id="run-1", message_id="m", step="trained")


class Systemd:
    """Keeps what comes to `$NOTIFY_SOCKET`."""

    def __init__(self, datagrams: socket.socket) -> None:
        self.heard: list[str] = []
        self._datagrams = datagrams
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                self.heard.append(self._datagrams.recv(4096).decode())

    def hears(self, beginning: str) -> bool:
        return any(message.startswith(beginning) for message in list(self.heard))


@pytest.fixture
def systemd(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Generator[Systemd]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as datagrams:
        datagrams.bind(str(folder / "notify"))
        monkeypatch.setenv("NOTIFY_SOCKET", str(folder / "notify"))
        monkeypatch.setenv("WATCHDOG_USEC", "200000")
        yield Systemd(datagrams)
        datagrams.shutdown(socket.SHUT_RDWR)


def test_it_is_ready_before_enrolment_says_so_and_ends_in_order(folder: Path, systemd: Systemd) -> None:
    hub, agent = FakeHub(), Agent(folder)
    with started(hub), agent.running() as run:
        until(lambda: systemd.hears("READY=1"), within=60)
        until(lambda: systemd.hears("STATUS=waiting for enrolment"))
        until(lambda: systemd.heard.count("WATCHDOG=1") >= 3)
        agent.enrol(hub)
        until(lambda: systemd.hears("STATUS=connected since"))
        run.send_signal(signal.SIGTERM)
        assert run.wait(60) == 0
        until(lambda: systemd.hears("STOPPING=1"))


def test_sighup_applies_what_can_be_applied_and_names_what_needs_a_restart(folder: Path, systemd: Systemd) -> None:
    hub, agent = FakeHub(), Agent(folder, heartbeat=3600)
    with started(hub), agent.running() as run:
        agent.enrol(hub)
        until(lambda: "health" in hub.kinds(), within=60)
        text = agent.config.read_text().replace("heartbeat = 3600", "heartbeat = 0.1")
        agent.config.write_text(f"{text}\n[outbox]\nmax_bytes = 9000000\n")
        run.send_signal(signal.SIGHUP)
        until(lambda: hub.kinds().count("health") >= 4)
        until(lambda: systemd.hears("RELOADING=1\nMONOTONIC_USEC="))
        until(lambda: systemd.heard.count("READY=1") == 2)
        said = agent.log.read_text()
        assert "applied=agent.heartbeat" in said
        assert "needs_restart=outbox.max_bytes" in said


def test_a_broken_file_keeps_the_old_configuration_and_says_so(folder: Path) -> None:
    agent = Agent(folder)
    good = agent.config.read_text()
    with agent.running() as run:
        until(agent.status, within=60)
        agent.config.write_text("[agent]\nheart_beat = 3\n")
        run.send_signal(signal.SIGHUP)
        until(lambda: "config-refused" in _conditions(agent))
        agent.config.write_text(good)
        run.send_signal(signal.SIGHUP)
        until(lambda: "config-refused" not in _conditions(agent))
        assert run.poll() is None


def test_sigterm_is_obeyed_while_the_hub_hangs(folder: Path) -> None:
    """It accepts connections and never answers: neither the last chance nor a thread may hold up the end."""
    hub, agent = FakeHub(), Agent(folder, supervise=True)
    with started(hub):
        agent.enrol(hub)
    with socket.create_server(("127.0.0.1", hub.port)), agent.running() as run:
        until(lambda: (status := agent.status()) and status.health.outbox_depth >= 2, within=60)
        began = time.monotonic()
        run.send_signal(signal.SIGTERM)
        assert run.wait(60) == 0
        print(f"gone {time.monotonic() - began:.1f} s after SIGTERM")


@pytest.mark.asyncio
async def test_the_last_chance_ends_when_everything_is_delivered_or_its_time_is_over(folder: Path) -> None:
    outbox = await Outbox.open(folder / "outbox.db")
    committing = asyncio.create_task(outbox.run())
    try:
        seq = await outbox.append(Priority.FEDERATION, "session", EVENT)
        await delivered(outbox, within=0.1)
        assert await outbox.depth() == 1
        async with asyncio.timeout(60), asyncio.TaskGroup() as group:
            group.create_task(delivered(outbox, within=3600.0))
            await outbox.ack(Priority.FEDERATION, seq)
    finally:
        await _ended(committing)
        await outbox.close()


@pytest.mark.asyncio
async def test_an_uplink_is_stuck_while_the_hub_hangs_and_not_while_it_waits(folder: Path) -> None:
    hub, agent = FakeHub(), Agent(folder)
    with started(hub):
        await asyncio.to_thread(agent.enrol, hub)
    identity = load_identity(agent.state)
    assert identity is not None
    outbox = await Outbox.open(folder / "outbox.db")
    client, progress = HubClient(identity, agent.state, HubLink()), Progress("uplink", within=0.0)
    tasks = [asyncio.create_task(run()) for run in (outbox.run, Uplink(outbox, client, progress=progress).run)]
    try:
        with socket.create_server(("127.0.0.1", hub.port)):
            await asyncio.sleep(0)
            assert not progress.stuck, "it waits for events"
            await outbox.append(Priority.FEDERATION, "session", EVENT)
            await eventually(lambda: progress.stuck)
        # the end of the listener resets what it had not accepted, and nobody listens any more: it waits to try again
        await eventually(lambda: not progress.stuck, within=60)
    finally:
        for task in tasks:
            await _ended(task)
        client.close()
        await outbox.close()


def _conditions(agent: Agent) -> list[str]:
    status = agent.status()
    return [] if status is None else [condition.code for condition in status.health.conditions]


async def _ended(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
