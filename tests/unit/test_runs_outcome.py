"""Ends and standstills are told in words."""

import msgspec
import pytest

from flip_hub.devices.schemas import Device, DeviceStatus
from flip_hub.federation.control import FlowerStatus
from flip_hub.federation.outcome import TRIES, GoesOn, Outcome, all_void, fate_of, waiting_for
from flip_hub.federation.schemas import Round, Run, RunStatus

LOG = """INFO :      [ROUND 1/3]
Traceback (most recent call last):
  File "app.py", line 12, in main
    raise KeyError("inner")
KeyError: 'inner'

During handling of the above exception, another exception occurred:

Traceback (most recent call last):
  File "app.py", line 14, in main
    train()
app.errors.NoData: the data set is empty
ERROR :     Exit Code: 201
"""


RUNNING = FlowerStatus(status="running", sub_status="", details="")


def finished(sub_status: str, details: str = "") -> FlowerStatus:
    return FlowerStatus(status="finished", sub_status=sub_status, details=details)


def run(flower_run_id: str, round: int) -> Run:
    values = {
        "id": "run-1",
        "flower_run_id": flower_run_id,
        "app": "tiny 1",
        "fab_hash": "0" * 64,
        "status": "running",
        "reason": "",
        "config": {},
        "promote": "best",
        "metric": "accuracy",
        "strategy": "",
        "rounds": None,
        "round": round,
        "started_at": 1.0,
        "finished_at": None,
        "eta": None,
        "promoted_version": None,
        "warning": "",
    }
    return msgspec.convert(values, Run)


def device(status: DeviceStatus) -> Device:
    values = {
        "id": "dev-1",
        "name": "one",
        "status": status,
        "enrolled_at": 1.0,
        "enrolled_by": "",
        "last_seen": None,
        "agent_version": "0",
        "node_id": None,
        "desired": {"generation": 1},
        "reported": None,
        "health": None,
        "events_accepted": 0,
        "events_dropped": 0,
        "differences": [],
        "unknown_since": None,
        "wire_version": 3,
        "site": "",
        "tags": [],
        "groups": [],
        "note": "",
        "clone": None,
    }
    return msgspec.convert(values, Device)


def ended(flower: FlowerStatus, log: str = "", *, dead: bool = False) -> Outcome:
    found = fate_of(run("7", 3), flower, log, dead=dead)
    assert isinstance(found, Outcome)
    return found


def goes_on(flower: FlowerStatus | None, *, dead: bool = False, of: Run | None = None) -> str:
    found = fate_of(of or run("7", 3), flower, LOG, dead=dead)
    assert isinstance(found, GoesOn)
    return found.reason


def test_an_exception_is_named_with_its_type_from_the_last_traceback() -> None:
    said = finished("failed", "ServerApp failed with exception: the data set is empty")
    for dead in (False, True):
        outcome = ended(said, LOG, dead=dead)
        assert (outcome.status, outcome.reason) == (RunStatus.FAILED, "app.errors.NoData: the data set is empty")


def test_a_failure_without_any_word_says_so() -> None:
    assert ended(finished("failed")).reason == "the ServerApp ended without saying why; its log may tell"


@pytest.mark.parametrize(("word", "status"), [("completed", RunStatus.FINISHED), ("stopped", RunStatus.STOPPED)])
def test_completed_and_stopped_runs_need_no_reason(word: str, status: RunStatus) -> None:
    outcome = ended(finished(word), LOG)
    assert (outcome.status, outcome.reason) == (status, "")


def test_a_run_whose_serverapp_or_superlink_was_killed_goes_on() -> None:
    rest = "in round 3; the run goes on from its last checkpoint"
    assert goes_on(None) == f"the SuperLink was restarted {rest}"
    assert goes_on(RUNNING, dead=True) == f"the ServerApp's process was killed {rest}"
    silent = finished("failed", "No heartbeat received\nfrom the task")
    assert goes_on(silent) == f"the ServerApp's process did not answer any more {rest}"
    assert goes_on(None, of=run("", 0)).startswith("the hub was stopped before the first round")


def test_a_run_under_way_has_no_fate_yet() -> None:
    assert fate_of(run("7", 3), RUNNING, "", dead=False) is None


def test_a_run_that_was_taken_on_in_vain_ends_and_says_how_often() -> None:
    tried = msgspec.structs.replace(run("7", 3), tries=TRIES)
    outcome = fate_of(tried, None, "", dead=False)
    assert isinstance(outcome, Outcome)
    assert outcome.reason == "the SuperLink was restarted in round 3, for the 4th time without a finished round"


def test_flowers_own_count_of_missing_devices_is_passed_on() -> None:
    log = "[ROUND 1/3]\nINFO :      Waiting for nodes to connect: 1 connected (minimum required: 2).\n"
    assert waiting_for(RUNNING, log, [], 30.0) == "waiting for devices: 1 of 2 online"


def test_a_pause_without_a_known_cause_tells_how_many_devices_are_online() -> None:
    states = [DeviceStatus.OK, DeviceStatus.UNHEALTHY, DeviceStatus.UNKNOWN, DeviceStatus.REVOKED]
    devices = [device(status) for status in states]
    old = "Waiting for nodes to connect: 1 connected (minimum required: 2).\nINFO: something else\n"
    assert waiting_for(RUNNING, old, devices, 30.0) == "no round has begun for 30 s; 2 of 3 devices are online"


def test_a_serverapp_that_does_not_come_up_is_told_apart_from_missing_devices() -> None:
    starting = FlowerStatus(status="starting", sub_status="", details="")
    assert waiting_for(starting, "", [], 40.0).startswith("the ServerApp has not come up for 40 s")


def test_our_own_refusals_are_told_without_their_class() -> None:
    log = "Traceback (most recent call last):\nflip_runtime.errors.Rejected: no array is 'nothing.*' (plan.local)\n"
    said = finished("failed", "ServerApp failed with exception: no array")
    assert ended(said, log).reason == "no array is 'nothing.*' (plan.local)"


def test_a_run_all_of_whose_rounds_were_void_says_why() -> None:
    void = "the round is void: 3 devices answered, 50 must"
    values: dict[str, object] = {"run_id": "run-1", "round": 1, "started_at": 1.0, "finished_at": 2.0, "version": None}
    values |= {"sampled": [], "answered": [], "failures": [], "train_metrics": {}, "evaluate_metrics": {}}
    lost, counted = msgspec.convert(values | {"void": void}, Round), msgspec.convert(values, Round)
    assert all_void([lost, lost]) == "every round was void: 3 devices answered, 50 must"
    assert all_void([lost, counted]) == all_void([]) == ""
