"""`serve` runs always, `train` while there is work; both come back when they fail."""

import asyncio
import os
import pty
import subprocess
import sys
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from agent_rig import Agent, eventually, until
from fake_hub import FakeHub, started

from flip_agent import children
from flip_agent.children import Children
from flip_agent.reported import Reported
from flip_agent.watched import Watched
from flip_runtime.backoff import Backoff
from flip_wire.fleet import DesiredState, WorkNotice

WORK = DesiredState(generation=2, work=[WorkNotice(run_id="run-1")])
IDLE = DesiredState(generation=1)


class Device:
    """Whose Python is a script that notes how it was started."""

    def __init__(
        self, folder: Path, monkeypatch: pytest.MonkeyPatch, behaviour: str, instances: Sequence[str] = ("default",)
    ) -> None:
        self.folder = folder
        program = folder / "python"
        program.write_text(f'#!/bin/sh\necho "$@" >> {folder}/starts\n{behaviour}\n')
        program.chmod(0o700)
        monkeypatch.setattr(sys, "executable", str(program))
        (folder / "logs").mkdir()
        for name in ("serve", "train"):
            (folder / "logs" / f"{name}.log").write_text("what an earlier life said\n")
        self.desired = Watched(IDLE)
        self.reported = Reported(generation=1)
        self.children = Children(folder, Path("/etc/agent.toml"), instances, self.desired, self.reported)

    def starts(self) -> list[str]:
        path = self.folder / "starts"
        return path.read_text().splitlines() if path.exists() else []


@asynccontextmanager
async def running(service: Callable[[], Awaitable[None]]) -> AsyncGenerator[None]:
    task = asyncio.ensure_future(service())
    try:
        async with asyncio.timeout(30):
            yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@pytest.mark.asyncio
async def test_serve_is_started_with_the_same_configuration(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    device = Device(folder, monkeypatch, "exec sleep 3600")
    async with running(device.children.run_serve):
        await eventually(lambda: device.starts() == ["-m flip_agent serve --config /etc/agent.toml"])


@pytest.mark.asyncio
async def test_each_instance_of_serve_is_a_process_whose_failures_are_told(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fails = 'test "$4" = two && echo "flip-agent: its port is taken" >&2 && exit 78\nexec sleep 3600'
    device = Device(folder, monkeypatch, fails, ["one", "two"])
    async with running(device.children.run_serve):
        command = "-m flip_agent serve {} --config /etc/agent.toml"
        await eventually(lambda: sorted(device.starts()) == [command.format("one"), command.format("two")])
        await eventually(lambda: device.children.failing("serve") != "")
        assert device.children.failing("serve") == "flip-agent serve two does not start: its port is taken"
    assert (folder / "logs" / "serve-one.log").exists()


@pytest.mark.asyncio
async def test_train_is_started_only_while_there_is_work(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    device = Device(folder, monkeypatch, f"touch {folder}/ran")
    async with running(device.children.run_train):
        await asyncio.sleep(0)
        assert device.starts() == []
        device.desired.set(WORK)
        await eventually(lambda: (folder / "ran").exists())
        device.desired.set(IDLE)
        assert device.starts()[0].startswith("-m flip_agent train")


@pytest.mark.asyncio
async def test_train_that_was_cut_off_is_started_again_though_the_work_is_over(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "session.db-wal").touch()
    device = Device(folder, monkeypatch, f"rm {folder}/session.db-wal; touch {folder}/ran")
    async with running(device.children.run_train):
        await eventually(lambda: (folder / "ran").exists())
    assert len(device.starts()) == 1


@pytest.mark.asyncio
async def test_train_is_not_started_beside_one_that_a_person_started(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    device = Device(folder, monkeypatch, "exec sleep 3600")
    device.reported.in_session.set(True)
    device.desired.set(WORK)
    async with running(device.children.run_train), running(device.children.run_serve):
        await eventually(lambda: len(device.starts()) == 1)
        assert "serve" in device.starts()[0]
        device.reported.in_session.set(False)
        await eventually(lambda: len(device.starts()) == 2)


@pytest.mark.asyncio
async def test_a_child_that_crashes_is_started_again_and_its_log_is_kept(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    device = Device(folder, monkeypatch, "echo in trouble; exit 7")
    async with running(device.children.run_serve):
        await eventually(lambda: len(device.starts()) >= 2)
    assert "in trouble" in (folder / "logs" / "serve.log").read_text()


@pytest.mark.asyncio
async def test_a_refused_configuration_is_told_with_the_last_words_and_waits_until_it_is_read_again(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(children, "_REFUSED_AGAIN", Backoff(first=1e9, most=1e9))
    refuses = "echo 'flip-agent: no such key (name another)'; exit 78"
    device = Device(folder, monkeypatch, f"[ -e {folder}/corrected ] && exec sleep 3600; {refuses}")
    device.desired.set(WORK)
    async with running(device.children.run_train):
        await eventually(lambda: device.children.failing("train"))
        assert device.children.failing("train") == "flip-agent train does not start: no such key (name another)"
        assert device.reported.state.value.held_because == device.children.failing("train")
        device.children.try_again()
        assert device.children.failing("train") == device.reported.state.value.held_because == ""
        await eventually(lambda: device.children.failing("train"))
        assert len(device.starts()) == 2
        (folder / "corrected").touch()
        device.children.try_again()
        await eventually(lambda: len(device.starts()) == 3)
        assert device.children.failing("train") == device.reported.state.value.held_because == ""


@pytest.mark.asyncio
async def test_a_child_that_began_before_a_correction_and_fails_after_it_is_started_again_and_not_told_of(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(children, "_REFUSED_AGAIN", Backoff(first=1e9, most=1e9))
    waits = f"until [ -e {folder}/corrected ]; do sleep 0.05; done"
    first = f"[ -e {folder}/first ] && exec sleep 3600; touch {folder}/first; {waits}; exit 78"
    device = Device(folder, monkeypatch, first)
    device.desired.set(WORK)
    async with running(device.children.run_train):
        await eventually((folder / "first").exists)
        device.children.try_again()
        (folder / "corrected").touch()
        await eventually(lambda: len(device.starts()) == 2)
        assert device.children.failing("train") == device.reported.state.value.held_because == ""


@pytest.mark.asyncio
async def test_a_child_that_fails_again_and_again_is_told_of_until_it_has_run_for_a_while(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(children, "_AGAIN", Backoff(first=0.01, most=0.1))
    device = Device(folder, monkeypatch, f"[ -e {folder}/mended ] && exec sleep 3600; exit 7")
    async with running(device.children.run_serve):
        await eventually(lambda: device.children.failing("serve"))
        assert device.children.failing("serve") == "flip-agent serve fails again and again, with status 7"
        assert len(device.starts()) >= 3
        assert device.reported.state.value.held_because == "", "only what trains can hold training"
        (folder / "mended").touch()
        monkeypatch.setattr(children, "_SETTLED_AFTER", 0.1)
        await eventually(lambda: not device.children.failing("serve"))


def test_train_by_hand_says_that_nobody_has_to(folder: Path) -> None:
    hub, agent = FakeHub(), Agent(folder)
    with started(hub):
        agent.enrol(hub)
    terminal, end = pty.openpty()
    train = subprocess.Popen(agent.command("train"), stderr=end)
    os.close(end)
    said = b""

    def explained() -> bool:
        nonlocal said
        said += os.read(terminal, 4096)
        return b"flip-agent run starts it" in said

    try:
        until(explained, within=60)
    finally:
        train.kill()
        train.wait()
        os.close(terminal)
