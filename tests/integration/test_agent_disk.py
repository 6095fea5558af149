"""On a disk without room, and on one without inodes, the agent says so, removes what nobody needs, and goes on."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from agent_rig import Agent, until
from fake_hub import FakeHub, started
from full_disk import fill, small_disk

from flip_agent.looks import Verdict
from flip_wire.health import Repair

FILES = 400
DISKS = {"disk": (24 * 2**20, None), "inodes": (512 * 2**20, FILES)}
"""Bytes and inodes: short of one each; what tmpfs does not hold it does not take."""
LITTER = 20


@pytest.fixture(params=DISKS)
def subject(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def disk(folder: Path, subject: str) -> Iterator[Path]:
    size, inodes = DISKS[subject]
    with small_disk(folder / "disk", size, inodes=inodes) as place:
        yield place


class Device:
    def __init__(self, folder: Path, disk: Path, hub: FakeHub) -> None:
        self.hub = hub
        self.disk = disk
        self.agent = Agent(folder, state=str(disk / "state"), heartbeat=1)
        self.agent.enrol(hub)

    def lives(self) -> None:
        """Once as on any other day, so that its files are there."""
        with self.agent.running() as process:
            until(self.agent.status)
            process.terminate()
            assert process.wait(30) == 0

    def litter(self) -> None:
        """What years leave behind."""
        for number in range(LITTER):
            (self.agent.state / "models" / "blobs" / f"{number:064x}").write_bytes(os.urandom(2**16))
        (self.agent.state / "logs").mkdir(exist_ok=True)
        (self.agent.state / "logs" / "train.log.1").write_bytes(os.urandom(2**19))
        for number in (3, 2, 1):
            (self.agent.state / f"outbox.db.damaged-{number}").write_bytes(os.urandom(2**18))

    def left(self) -> list[str]:
        kept = [self.agent.state / "models" / "blobs", self.agent.state / "logs"]
        paths = [path for folder in kept for path in folder.iterdir()] + [*self.agent.state.glob("*.damaged*")]
        return sorted(path.name for path in paths)

    def use_up_bytes(self) -> None:
        fill(self.disk)
        assert os.statvfs(self.disk).f_bavail == 0

    def use_up_inodes(self) -> None:
        with contextlib.suppress(OSError):
            for number in range(FILES):
                (self.disk / f"greedy-{number}").touch()
        assert os.statvfs(self.disk).f_favail == 0

    def doctor(self, *options: str) -> dict[str, Verdict]:
        done = self.agent.call("doctor", "--json", *options)
        assert done.returncode == 1, done.stderr
        return {each.subject: each for each in msgspec.json.decode(done.stdout, type=list[Verdict])}

    def repairs(self) -> list[Repair]:
        return [msgspec.json.decode(event.body, type=Repair) for event in self.hub.events if event.kind == "repair"]


@pytest.fixture
def device(folder: Path, disk: Path) -> Iterator[Device]:
    hub = FakeHub()
    with started(hub):
        yield Device(folder, disk, hub)


USE_UP = {"disk": Device.use_up_bytes, "inodes": Device.use_up_inodes}


def test_a_device_at_rest_is_told_and_mended_by_the_doctor(device: Device, subject: str) -> None:
    device.lives()
    device.litter()
    USE_UP[subject](device)
    verdict = device.doctor()[subject]
    assert verdict.state == "critical"
    assert verdict.text.startswith("0 ")
    assert len(device.left()) == LITTER + 4, "looking changes nothing"
    mended = device.doctor("--fix")[subject]
    for what in ("old logs", "damaged databases", "model files"):
        assert f"{what} removed" in mended.repaired
    assert device.left() == ["outbox.db.damaged-1"]


def test_a_running_agent_mends_itself_and_tells_the_hub(device: Device, subject: str) -> None:
    device.lives()
    device.litter()
    with device.agent.running() as process:
        until(device.agent.status)
        USE_UP[subject](device)
        told = device.doctor()[subject]
        assert told.state == "critical"
        until(lambda: f"{subject}-low" in {repair.code for repair in device.repairs()})
        assert device.left() == ["outbox.db.damaged-1"]
        assert process.poll() is None


def test_an_agent_that_is_started_on_such_a_disk_comes_up_and_mends_it(device: Device, subject: str) -> None:
    device.lives()
    device.litter()
    USE_UP[subject](device)
    with device.agent.running() as process:
        until(lambda: device.repairs(), within=60.0)
        until(device.agent.status)
        assert device.left() == ["outbox.db.damaged-1"]
        assert process.poll() is None


@pytest.mark.parametrize("subject", ["inodes"], indirect=True)
def test_an_agent_without_an_inode_for_its_socket_waits_for_one(device: Device) -> None:
    device.lives()
    device.use_up_inodes()
    (device.disk / "greedy-0").unlink()  # which the outbox's log takes
    with device.agent.running() as process:
        until(lambda: "cannot make" in device.agent.log.read_text())
        assert device.agent.status() is None
        for greedy in device.disk.glob("greedy-*"):
            greedy.unlink()
        until(device.agent.status)
        assert process.poll() is None
