"""systemd hears that the agent is ready, how it stands with the hub, and that all its parts make progress."""

import asyncio
import socket
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pytest

from flip_agent.hub.link import HubLink, sentences
from flip_agent.progress import Progress, stuck
from flip_runtime.systemd import Notifier


class Systemd:
    """The other end of `$NOTIFY_SOCKET`."""

    def __init__(self, datagrams: socket.socket) -> None:
        self._datagrams = datagrams

    def hears(self) -> str:
        return self._datagrams.recv(1000).decode()

    def pending(self) -> list[str]:
        self._datagrams.setblocking(False)
        heard: list[str] = []
        try:
            while True:
                heard.append(self.hears())
        except BlockingIOError:
            return heard
        finally:
            self._datagrams.settimeout(10)


@pytest.fixture
def systemd(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Generator[Systemd]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as datagrams:
        datagrams.bind(str(folder / "notify"))
        datagrams.settimeout(10)
        monkeypatch.setenv("NOTIFY_SOCKET", str(folder / "notify"))
        monkeypatch.setenv("WATCHDOG_USEC", "20000")
        yield Systemd(datagrams)


@contextmanager
def ticking(task: asyncio.Task[None]) -> Generator[None]:
    try:
        yield
    finally:
        task.cancel()


@pytest.mark.asyncio
async def test_ready_status_and_watchdog_arrive_as_datagrams(systemd: Systemd) -> None:
    notifier = Notifier()
    notifier.ready()
    telling = ticking(asyncio.create_task(notifier.tell_status(sentences(HubLink().state))))
    with telling, ticking(asyncio.create_task(notifier.feed_watchdog())):
        heard = [await asyncio.to_thread(systemd.hears) for _ in range(4)]
    assert heard[0] == "READY=1"
    assert heard[1].startswith("STATUS=waiting for enrolment")
    assert heard[2:] == ["WATCHDOG=1"] * 2


@pytest.mark.asyncio
async def test_the_watchdog_hears_nothing_while_a_part_is_stuck_in_a_step(systemd: Systemd) -> None:
    committer, uplink = Progress("committer", within=0.0), Progress("uplink", within=3600.0)
    with (
        ticking(asyncio.create_task(Notifier().feed_watchdog(lambda: stuck([committer, uplink])))),
        uplink.step(),
    ):
        assert await asyncio.to_thread(systemd.hears) == "WATCHDOG=1"
        with committer.step():
            await asyncio.sleep(0.05)  # what was on its way
            systemd.pending()
            await asyncio.sleep(0.1)  # ten watchdog periods
            assert systemd.pending() == []
        assert await asyncio.to_thread(systemd.hears) == "WATCHDOG=1"


def test_a_reload_carries_the_time_that_systemd_asks_for(systemd: Systemd) -> None:
    notifier = Notifier()
    notifier.reloading()
    notifier.ready()
    notifier.stopping()
    reloading, ready, stopping = (systemd.hears() for _ in range(3))
    state, time = reloading.splitlines()
    assert state == "RELOADING=1"
    assert int(time.removeprefix("MONOTONIC_USEC=")) > 0
    assert ready == "READY=1"
    assert stopping.startswith("STOPPING=1")


def test_without_systemd_nothing_happens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    Notifier().ready()
