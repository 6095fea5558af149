"""A device's own minimum: with how few others it takes part, whatever the hub asks.

That a sum is not made of fewer devices is the hub's word, and so is whoever is beyond a device's neighbours: such
devices it never hears of. So it holds the hub to its word, and counts those with whom it masks, and those of them
that it reveals shares of as being in the sum.
"""

from typing import Final

from flip_runtime.errors import Rejected
from flip_update.secagg.device_round import DeviceRound
from flip_update.secagg.messages import Delivery, Question, Setup, Unmasking

SETTING: Final = "federation.secure_least"
"""Of the device's configuration: the hub's operator reads it in the reason."""


def refuse_few(asked: Question, own: DeviceRound, own_least: int) -> None:
    """Raises `Rejected`, which names the setting. `own`: the device's part, once it would have answered; of a
    `Delivery` also before."""
    if own.parameters.least < own_least:
        raise Rejected(
            f"the sum may be of {own.parameters.least} devices, and {SETTING} of this device is {own_least}",
            hint="plan.secure.least, when the run starts, or the device's setting",
        )
    match asked:
        case Setup():
            return
        case Delivery():
            _refuse_lonely("masks with", len(own.held) or len(asked.parcels), own_least)
        case Unmasking():
            _refuse_lonely("sees in the sum", len(asked.sent), own_least)
        case _:
            _refuse_lonely("masks with", len(own.pairs), own_least)


def _refuse_lonely(does: str, others: int, own_least: int) -> None:
    if others + 1 < own_least:
        raise Rejected(
            f"this device {does} {others} others, and its {SETTING} is {own_least}",
            hint="more devices in the round, or the device's setting",
        )
