"""What of a run's privacy its devices do, as the terms of their instructions say it."""

from flip_hub.federation.privacy.schemas import DeviceAdaptive, DeviceFixed, Local, Privacy
from flip_wire.terms import Clipping, Noise

UNABLE = "it cannot hide its updates: its agent is too old, or none of ours"


def on_devices(privacy: Privacy | None) -> Clipping | Noise | None:
    """None where the hub does all. For the rest nobody is asked who does not understand terms (`UNABLE`)."""
    match privacy:
        case Local():
            shown = privacy.metrics == "shown"
            return Noise(clipping_norm=privacy.clipping_norm, stddev=privacy.stddev, metrics=shown)
        case DeviceFixed() | DeviceAdaptive():
            return Clipping(adaptive=isinstance(privacy, DeviceAdaptive))
        case _:
            return None
