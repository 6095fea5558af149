"""`flip-agent run` is killed in the middle of a download, between every two steps of a swap and of a rollback, and
`serve` beside it, while requests go on: each answer is a good one, and in the end the device is where it should be."""

import subprocess
from pathlib import Path

import msgspec
from agent_rig import until
from device_rig import DeviceRig, Traffic, assigned
from fake_hub import FakeHub, started
from rollout_deaths import dies

from flip_wire.models import RolledBack

SWAP = [
    *("after:admit", "before:prepare", "before:try", "before:previous", "before:active", "before:activate"),
    "after:activate",
]
WITHIN = 120.0
"""Seconds that one life may take on a busy machine."""


def lives_until(device: DeviceRig, moment: str) -> None:
    """A `run` that dies there by itself; so many deaths in a row alone would keep new versions away."""
    (device.agent.state / "starts.json").unlink(missing_ok=True)
    with device.agent.running(**dies(moment, device.folder / "deaths")) as run:
        assert run.wait(WITHIN) == -9, moment


def settled(device: DeviceRig, *, active: int, answered: int) -> bool:
    kept = device.kept()
    return kept is not None and kept.active == active and device.answered_by() == answered


def bring(device: DeviceRig, hub: FakeHub, version: int) -> None:
    hub.want(models=[assigned(hub, version)])
    until(lambda: settled(device, active=version, answered=version), WITHIN)


def rollbacks(hub: FakeHub) -> list[RolledBack]:
    return [msgspec.json.decode(event.body, type=RolledBack) for event in hub.events if event.kind == "rollback"]


def test_a_download_goes_on_where_a_kill_has_cut_it(folder: Path, port: int) -> None:
    hub, size = FakeHub(), 2_000_000
    with started(hub):
        device = DeviceRig(folder, port)
        device.agent.enrol(hub)
        wanted = hub.add_version(1, size=size)
        hub.want(models=[wanted])
        part = device.models / "blobs" / f"{hub.weights_of(wanted)}.part"
        for cut in (100_000, 700_000, size * 99 // 100):
            lives_until(device, f"written:{cut}")
            assert part.stat().st_size >= cut
        before = hub.sent
        with device.agent.running():
            until((device.models / "blobs" / hub.weights_of(wanted)).exists, WITHIN)
        assert hub.sent - before <= size - size * 99 // 100
        resumed = [asked for asked in hub.ranges if asked != "bytes=0-"]
        assert len(resumed) in (2, 3), "after the last cut all of it may have been on the disk"


def test_a_swap_survives_a_kill_between_any_two_steps_without_the_hub(folder: Path, port: int) -> None:
    hub = FakeHub()
    device = DeviceRig(folder, port)
    with started(hub), device.serving() as serve:
        device.agent.enrol(hub)
        with device.agent.running():
            bring(device, hub, 1)
        with Traffic(device).flowing() as traffic:
            hub.want(models=[assigned(hub, 2)])
            lives_until(device, SWAP[0])
            lives_until(device, SWAP[1])  # by then everything is here
            hub.stop()
            for moment in SWAP[2:]:
                lives_until(device, moment)
            with device.agent.running():
                until(lambda: settled(device, active=2, answered=2), WITHIN)
                kept = device.kept()
                assert kept is not None
                assert (kept.previous, kept.refused) == (1, [])
            assert serve.poll() is None
        assert (traffic.failed, traffic.versions) == (0, {1, 2})


def test_a_rollback_by_hand_survives_kills_offline_and_is_told_once(folder: Path, port: int) -> None:
    hub = FakeHub()
    device = DeviceRig(folder, port)
    with started(hub), device.serving():
        device.agent.enrol(hub)
        with device.agent.running():
            bring(device, hub, 1)
            bring(device, hub, 2)
        hub_port = hub.port
        hub.stop()
        with Traffic(device).flowing() as traffic:
            assert killed_in_rollback(device, "before:refuse").returncode == 3
            assert killed_in_rollback(device, "after:refuse").returncode == 3
            lives_until(device, "after:roll_back")  # nobody has to say it again
            lives_until(device, "before:mark_told")
            lives_until(device, "after:mark_told")
            with device.agent.running():
                until(lambda: settled(device, active=1, answered=1), WITHIN)
                again = device.models_command("rollback")
                assert (again.returncode, "no version before the active one" in again.stderr) == (1, True)
        assert (traffic.failed, traffic.versions) == (0, {1, 2})
    with device.serving(), device.agent.running():  # everything anew
        until(lambda: settled(device, active=1, answered=1), WITHIN)
        hub.start(hub_port)
        try:
            until(lambda: rollbacks(hub), WITHIN)
            until(lambda: told_refused(hub), WITHIN)
        finally:
            hub.stop()
    (told,) = rollbacks(hub)
    assert (told.model, told.version, told.to_version, told.reason) == ("digits", 2, 1, "by hand: it is worse")


def test_serve_that_is_killed_comes_back_with_what_is_active(folder: Path, port: int) -> None:
    hub = FakeHub()
    device = DeviceRig(folder, port)
    with started(hub), device.agent.running():
        device.agent.enrol(hub)
        with device.serving():
            bring(device, hub, 1)
        hub.want(models=[assigned(hub, 2)])  # it comes while nobody serves
        until(lambda: list((device.models / "blobs").glob("*")), WITHIN)
        with device.serving():
            until(lambda: settled(device, active=2, answered=2), WITHIN)
        hub.stop()
        done = device.models_command("rollback", "digits", "--reason", "it is worse", "--json")
        assert (done.returncode, '"to_version":1' in done.stdout) == (0, True), done.stderr
        assert "flip-agent serve is not running" in done.stdout
        with device.serving():
            until(lambda: settled(device, active=1, answered=1), WITHIN)
            retried = device.models_command("retry")
            assert retried.stdout == "digits version 2 may be brought again\n"
            until(lambda: settled(device, active=2, answered=2), WITHIN)


def test_without_run_the_commands_say_what_to_do(folder: Path, port: int) -> None:
    device = DeviceRig(folder, port)
    for action in ("list", "rollback", "retry"):
        done = device.models_command(action)
        assert (done.returncode, "flip-agent run" in done.stderr) == (3, True)


def killed_in_rollback(device: DeviceRig, moment: str) -> subprocess.CompletedProcess[str]:
    with device.agent.running(**dies(moment, device.folder / "deaths")) as run:
        until(lambda: settled(device, active=2, answered=2), WITHIN)
        done = device.models_command("rollback", "--reason", "it is worse")
        assert run.wait(WITHIN) == -9
    return done


def told_refused(hub: FakeHub) -> bool:
    return any(event.kind == "state" and b"rolled back: by hand" in bytes(event.body) for event in hub.events)
