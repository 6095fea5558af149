"""How a run ended, or why it stands still, in words for people: pure."""

import re
from collections.abc import Sequence

from msgspec import Struct

from flip_hub.devices.schemas import Device, DeviceStatus
from flip_hub.federation.control import FlowerStatus
from flip_hub.federation.schemas import Round, Run, RunStatus

ONLINE = (DeviceStatus.OK, DeviceStatus.UNHEALTHY)
_REASON_LIMIT = 500

# What Flower's strategies log while they have too few nodes, once a second, and nothing else meanwhile.
_TOO_FEW = re.compile(r"Waiting for nodes to connect: (\d+) connected \(minimum required: (\d+)\)")
_RAISED = "ServerApp failed with exception"
_NO_HEARTBEAT = "No heartbeat received"
TRIES = 3
"""How often a run goes on without having finished a round in between."""
_TRACEBACK = "Traceback (most recent call last):"
_OURS = re.compile(r"flip_\w+(?:\.\w+)*: ")
"""Our own errors say what is wrong, and the way out; their class tells people nothing."""


class Outcome(Struct, frozen=True):
    status: RunStatus
    reason: str


class GoesOn(Struct, frozen=True):
    """With another ServerApp, from the last checkpoint."""

    reason: str


def fate_of(run: Run, flower: FlowerStatus | None, log: str, *, dead: bool) -> Outcome | GoesOn | None:
    """None while it simply goes on; `flower` is None when the SuperLink does not know the run, `dead` when its
    ServerApp's process was there and is no more."""
    if flower is None:
        return _again(run, "the SuperLink was restarted" if run.flower_run_id else "the hub was stopped")
    if flower.finished and flower.sub_status == "completed":
        return Outcome(RunStatus.FINISHED, "")
    if flower.finished and flower.sub_status == "stopped":
        return Outcome(RunStatus.STOPPED, "")
    if dead and not (flower.finished and flower.details.startswith(_RAISED)):
        return _again(run, "the ServerApp's process was killed")
    if not flower.finished:
        return None
    if _NO_HEARTBEAT in flower.details:
        return _again(run, "the ServerApp's process did not answer any more")
    return Outcome(RunStatus.FAILED, _why(flower.details, log)[:_REASON_LIMIT])


def _again(run: Run, what: str) -> Outcome | GoesOn:
    when = f"in round {run.round}" if run.round else "before the first round"
    if run.tries < TRIES:
        return GoesOn(f"{what} {when}; the run goes on from its last checkpoint")
    return Outcome(RunStatus.FAILED, f"{what} {when}, for the {run.tries + 1}th time without a finished round")


def waiting_for(flower: FlowerStatus, log: str, devices: Sequence[Device], waited: float) -> str:
    """What a run waits for in which no round has begun for `waited` seconds."""
    if flower.status != "running":  # Flower starts a ServerApp anew that needs more than 30 s to come up
        return f"the ServerApp has not come up for {waited:.0f} s; is the hub's machine overloaded?"
    last = log.rstrip().rpartition("\n")[2]
    if found := _TOO_FEW.search(last):
        return f"waiting for devices: {found[1]} of {found[2]} online"
    enrolled = [device for device in devices if device.status is not DeviceStatus.REVOKED]
    online = sum(device.status in ONLINE for device in enrolled)
    return f"no round has begun for {waited:.0f} s; {online} of {len(enrolled)} devices are online"


def _why(details: str, log: str) -> str:
    """Flower gives an exception's text; the log also has its type, in the first line after the last traceback."""
    if not details:
        return "the ServerApp ended without saying why; its log may tell"
    _, found, traceback = log.rpartition(_TRACEBACK + "\n")
    raised = next((line for line in traceback.splitlines() if not line.startswith(" ")), "")
    if found and details.startswith(_RAISED) and raised:
        ours = _OURS.match(raised)
        return raised[ours.end() :] if ours else raised
    return " ".join(details.split())


def all_void(rounds: Sequence[Round]) -> str:
    """Why a run that has finished changed nothing; empty where a round counted. The reason is that of its last one."""
    if not rounds or not all(each.void for each in rounds):
        return ""
    why = rounds[-1].void.removeprefix("the round is void: ")
    return f"every round was void: {why}"[:_REASON_LIMIT]
