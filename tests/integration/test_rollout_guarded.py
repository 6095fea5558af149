"""A bad but valid version is given up by `serve` without the hub: durable in `run`, and the hub hears of it once."""

from pathlib import Path

import msgspec
from agent_rig import until
from device_rig import DeviceRig, Traffic, assigned
from fake_hub import FakeHub, started

from flip_wire.models import RolledBack

WITHIN = 120.0


def test_a_version_that_serve_gives_up_offline_stays_given_up_and_is_told_once(folder: Path, port: int) -> None:
    hub = FakeHub()
    device = DeviceRig(folder, port)
    device.agent.configure("models", min_agreement=0.95, judged_by=5)
    with started(hub), device.serving():
        device.agent.enrol(hub)
        with device.agent.running():
            hub.want(models=[assigned(hub, 1)])
            until(lambda: device.answered_by() == 1, WITHIN)
            second = assigned(hub, 2)
            hub.want(models=[second])
            until(lambda: (device.models / "blobs" / hub.weights_of(second)).exists(), WITHIN)
            hub_port = hub.port
            hub.stop()
            with Traffic(device).flowing() as traffic:
                until(lambda: refused_by(device) != [], WITHIN)
            assert (traffic.failed, device.answered_by()) == (0, 1)
            assert "agree" in refused_by(device)[0]
    with device.serving(), device.agent.running():
        until(lambda: device.answered_by() == 1, WITHIN)
        hub.start(hub_port)
        try:
            until(lambda: rollbacks(hub), WITHIN)
        finally:
            hub.stop()
    (told,) = rollbacks(hub)
    assert (told.model, told.version, told.to_version) == ("digits", 2, 1)


def refused_by(device: DeviceRig) -> list[str]:
    kept = device.kept()
    return [] if kept is None or kept.active != 1 else [each.reason for each in kept.refused]


def rollbacks(hub: FakeHub) -> list[RolledBack]:
    return [msgspec.json.decode(event.body, type=RolledBack) for event in hub.events if event.kind == "rollback"]
