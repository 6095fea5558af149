"""What a ServerApp and the fault lab that it runs in say to each other: lines of JSON over a Unix socket.

In a lab (`flip_lab`) time is the lab's. The ServerApp says what it reports to the hub, such as whom it has written to,
and that it waits; the lab lets its devices do what they do until then, and answers with the time.
"""

import msgspec
from msgspec import Struct

from flip_hub.federation.schemas import RunReport

SOCKET = "FLIP_LAB"
"""Environment variable: the path of the lab's socket; unset: time is the machine's."""


class Reported(Struct, frozen=True, kw_only=True, tag=True):
    report: RunReport


class Waits(Struct, frozen=True, kw_only=True, tag=True):
    """Answered by `Now`."""

    seconds: float
    """Until it would look again by itself."""
    left: float | None
    """Until it waits no longer; None: it is not known."""


class Now(Struct, frozen=True, kw_only=True):
    seconds: float
    """Since the lab's clock began."""


FromServerApp = Reported | Waits

_encoder = msgspec.json.Encoder()
decode_from_server_app = msgspec.json.Decoder(FromServerApp).decode
decode_now = msgspec.json.Decoder(Now).decode


def line(frame: FromServerApp | Now) -> bytes:
    return _encoder.encode(frame) + b"\n"
