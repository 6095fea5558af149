"""Deployments as the API shows them, and as the registry keeps them."""

from msgspec import Struct

from flip_wire.fleet import DeviceId


class Deployment(Struct, frozen=True, kw_only=True):
    """That a device serves a version, or did."""

    device_id: DeviceId
    model: str
    version: int
    since: float
    """By the device's clock, when it began to serve it; a restart since then is none."""
    until: float | None = None
    """By the hub's clock, when the device no longer reported it; None: it serves it."""
