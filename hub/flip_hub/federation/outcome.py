"""How a run ended, or why it stands still, in words for people: pure."""

import re
from collections.abc import Sequence

from msgspec import Struct

from flip_hub.devices.schemas import Device, DeviceStatus
from flip_hub.federation.control import FlowerStatus
from flip_hub.federation.schemas import Run, RunStatus

ONLINE = (DeviceStatus.OK, DeviceStatus.UNHEALTHY)
_REASON_LIMIT = 500

# What Flower's strategies log while they have too few nodes, once a second, and nothing else meanwhile.
_TOO_FEW = re.compile(r"Waiting for nodes to connect: (\d+) connected \(minimum required: (\d+)\)")
_RAISED = "ServerApp failed with exception"
_TRACEBACK = "Traceback (most recent call last):"


class Outcome(Struct, frozen=True):
    status: RunStatus
    reason: str


def outcome_of(flower: FlowerStatus, log: str) -> Outcome:
    """Of a run that Flower calls finished."""
    match flower.sub_status:
        case "completed":
            return Outcome(RunStatus.FINISHED, "")
        case "stopped":
            return Outcome(RunStatus.STOPPED, "")
        case _:
            return Outcome(RunStatus.FAILED, _why(flower.details, log)[:_REASON_LIMIT])


def lost(run: Run, versions: int) -> Outcome:
    """Of a run that the SuperLink does not know any more."""
    if not run.flower_run_id:
        return Outcome(RunStatus.FAILED, "the hub was stopped while it submitted the run; start it again")
    when = f"in round {run.round}" if run.round else "before the first round"
    made = {0: "it had made no version yet", 1: "its version so far is registered"}
    return Outcome(
        RunStatus.FAILED,
        f"the SuperLink was restarted {when}: a Flower run does not survive that; start it again, "
        + made.get(versions, f"its {versions} versions so far are registered"),
    )


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
    return raised if found and details.startswith(_RAISED) and raised else " ".join(details.split())
