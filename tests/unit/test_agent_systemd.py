"""systemd hears that the agent is ready, how it stands with the hub, and that its event loop turns."""

import asyncio
import socket
from pathlib import Path

import pytest

from flip_agent.hub_link import HubLink
from flip_agent.systemd import Notifier

pytestmark = pytest.mark.asyncio


async def test_ready_status_and_watchdog_arrive_as_datagrams(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(folder / "notify"))
        systemd.settimeout(5)
        monkeypatch.setenv("NOTIFY_SOCKET", str(folder / "notify"))
        monkeypatch.setenv("WATCHDOG_USEC", "100000")
        notifier = Notifier()
        notifier.ready()
        running = asyncio.create_task(notifier.run(HubLink().state))
        heard = [await asyncio.to_thread(systemd.recv, 1000) for _ in range(4)]
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
    assert heard[0] == b"READY=1"
    assert heard[1].startswith(b"STATUS=waiting for enrolment")
    assert heard[2:] == [b"WATCHDOG=1"] * 2


async def test_without_systemd_nothing_happens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    Notifier().ready()
