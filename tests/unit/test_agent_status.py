"""What `flip-agent status` shows people."""

import msgspec
from msgspec.structs import replace

from flip_agent.local.messages import KeptModel, Status
from flip_agent.models.command import render_models
from flip_agent.status import render
from flip_wire.fleet import ReportedState, RolloutFailure, ServingModel
from flip_wire.health import Condition, HealthReport, NetworkUse, Repair, Severity
from flip_wire.inference import ModelTraffic
from flip_wire.models import LocalParts

NOW = 1_000_000.0


STATUS = Status(
    device_id="dev-0123456789ab",
    name="kitchen",
    hub="http://hub:8000",
    hub_connected=True,
    hub_detail="connected since 12:00",
    reported=ReportedState(
        generation=3,
        agent_version="1",
        training="training",
        serving=[ServingModel(model="digits", version=4, since=NOW - 7200, url="http://127.0.0.1:8082")],
        failures=[
            RolloutFailure(model="digits", version=5, reason="probe differs"),
            RolloutFailure(model="letters", version=2, reason="the hub cannot be reached", again=True),
        ],
        held_because="battery at 20 %",
        mode="reduced",
    ),
    health=HealthReport(
        uptime=30.0,
        rss=30 * 2**20,
        load=0.5,
        disk_free=3 * 2**30,
        outbox_depth=7,
        outbox_oldest=NOW - 300,
        dropped=2,
        temperature=61.2,
        memory_available=512 * 2**20,
        clock_offset=-0.25,
        samples_lost={"samples_expired": 12, "predictions_displaced": 3},
        network=NetworkUse(limit=50 * 2**20, left=12 * 2**20, passed={"telemetry": 8 * 2**20, "models": 30 * 2**20}),
        inference=[
            ModelTraffic(
                model="digits",
                version=4,
                instance="default",
                requests=1204,
                rows=1300,
                refused=3,
                failed=0,
                p50=0.0006,
                p99=0.0021,
                queue=0,
                swaps=2,
                rollbacks=1,
            )
        ],
        conditions=[Condition(code="disk-low", title="Disk full", severity=Severity.CRITICAL, text="1 MiB", since=NOW)],
    ),
    repairs=[Repair(code="disk-low", text="old logs removed (4.0 MiB)")],
)


def test_everything_worth_knowing_is_on_aligned_lines() -> None:
    assert render(STATUS, NOW).splitlines() == [
        "device    kitchen (dev-0123456789ab)",
        "hub       http://hub:8000, connected since 12:00",
        "mode      reduced",
        "training  training, waits: battery at 20 %",
        "serving   digits version 4 for 2.0 h, http://127.0.0.1:8082",
        "refused   digits version 5: probe differs",
        "waiting   letters version 2: the hub cannot be reached",
        "answers   digits version 4: 1204 requests, the slowest hundredth 2.1 ms, 3 refused, 0 failed, 1 rolled back",
        "let go    by the sample store: 12 samples expired, 3 predictions displaced",
        "outbox    7 events wait, the oldest for 5 min, 2 dropped",
        "network   12.0 of 50.0 MiB left today (passed: telemetry 8.0, models 30.0)",
        "process   up 30 s, 30 MiB",
        "machine   load 0.50, 3.0 GiB free on the disk, 512 MiB of memory left, 61 °C",
        "clock     -0.2 s to the hub's",
        "repaired  disk-low: old logs removed (4.0 MiB)",
        "critical  Disk full: 1 MiB",
    ]


def test_what_answers_in_the_place_of_local_parts_is_told() -> None:
    def shown(local: LocalParts) -> str:
        (serving,) = STATUS.reported.serving
        state = replace(STATUS.reported, serving=[replace(serving, local=local)])
        (line,) = [line for line in render(replace(STATUS, reported=state), NOW).splitlines() if "parts" in line]
        return line

    own = shown(LocalParts(served="own", run_id="run-1", round=6, trained_at=NOW))
    assert own.startswith("parts     digits: this device's own, of round 6 of run-1, trained 1970-01-1")
    untrained = LocalParts(served="untrained", run_id="run-1")
    assert shown(untrained) == "parts     digits: the version's: this device has trained none in run-1"
    refused = LocalParts(served="refused", run_id="run-1", reason="damaged on its disk")
    assert shown(refused) == "parts     digits: the version's: damaged on its disk"
    model = KeptModel(model="digits", active=4, previous=3, wanted=4, refused=[], local=untrained)
    assert render_models([model]).splitlines() == [
        "digits  active 4, previous 3, wanted 4",
        "  local parts: the version's: this device has trained none in run-1",
    ]


def test_a_clock_that_is_right_has_no_minus_before_its_zero() -> None:
    right = msgspec.structs.replace(STATUS.health, clock_offset=-0.01)
    assert "clock     +0.0 s to the hub's" in render(msgspec.structs.replace(STATUS, health=right), NOW).splitlines()
