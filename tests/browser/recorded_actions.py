"""What the ailing device of the fleet was asked to do, in each state that an action can have."""

import fleet

from flip_hub.actions.schemas import ActionState, DeviceAction
from flip_wire.actions import ActionId


def actions() -> list[DeviceAction]:
    """Newest first."""
    return [
        _action(4, "restart", ActionState.QUEUED, ago=2 * fleet.MINUTE),
        _action(
            3, "doctor", ActionState.DONE, ago=20 * fleet.MINUTE, text="daemon      ok\ndisk        31 MiB are free"
        ),
        _action(2, "collect-logs", ActionState.DONE, ago=3 * fleet.HOUR, text="18211 bytes of logs", log_size=18_211),
        _action(1, "rollback", ActionState.EXPIRED, ago=26 * fleet.HOUR, text="the device did not hear of it in time"),
    ]


def _action(
    number: int, kind: str, state: ActionState, *, ago: float, text: str = "", log_size: int = 0
) -> DeviceAction:
    asked = fleet.NOW - ago
    return DeviceAction(
        id=ActionId(f"act-{number:012x}"),
        device=fleet.AILING,
        kind=kind,
        state=state,
        asked_by="ada",
        asked_at=asked,
        expires_at=asked + fleet.HOUR,
        model="digits" if kind == "rollback" else "",
        ended_at=None if state is ActionState.QUEUED else asked + 40,
        text=text,
        log_size=log_size,
    )
