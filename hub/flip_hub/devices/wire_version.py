"""Which agents this hub speaks with: those of its own version of the protocol, and of the one before."""

from typing import NamedTuple

from flip_hub.problem import Forbidden
from flip_wire.version import BEFORE_THE_HEADER, OLDEST_SPOKEN, WIRE_VERSION


class Trouble(NamedTuple):
    detail: str
    hint: str


def trouble(version: int) -> Trouble | None:
    """Why an agent of that version is not spoken with, and the way out."""
    if version > WIRE_VERSION:
        spoken = f"the agent speaks version {version} of the protocol, this hub {OLDEST_SPOKEN} and {WIRE_VERSION}"
        return Trouble(spoken, "update the hub first, then its devices")
    if version < OLDEST_SPOKEN:
        spoken = f"the agent speaks version {version} of the protocol, this hub {OLDEST_SPOKEN} and {WIRE_VERSION}"
        return Trouble(spoken, "update the agent on this device; what it has to deliver waits there")
    return None


def spoken(header: str | None) -> int:
    """The version that a call tells of. Raises `Forbidden`, which no agent takes for a refusal of what it sends."""
    if header is not None and not (header.isascii() and header.isdigit() and len(header) < 6):
        raise Forbidden("Flip-Wire is no version of the protocol", hint=f"this hub speaks {WIRE_VERSION}")
    version = BEFORE_THE_HEADER if header is None else int(header)
    if wrong := trouble(version):
        raise Forbidden(wrong.detail, hint=wrong.hint)
    return version
