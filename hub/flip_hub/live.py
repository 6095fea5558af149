"""What the console is told as it happens: one frame per changed thing, over `/api/v1/live`."""

from msgspec import Struct

from flip_hub.devices.schemas import Device
from flip_hub.federation.schemas import Round, Run
from flip_hub.models.schemas import ModelVersion


class DeviceChanged(Struct, frozen=True, kw_only=True, tag="device", tag_field="topic"):
    data: Device


class RunChanged(Struct, frozen=True, kw_only=True, tag="run", tag_field="topic"):
    data: Run


class RoundChanged(Struct, frozen=True, kw_only=True, tag="round", tag_field="topic"):
    data: Round


class ModelVersionChanged(Struct, frozen=True, kw_only=True, tag="model", tag_field="topic"):
    data: ModelVersion


class Lagged(Struct, frozen=True, kw_only=True, tag="lagged", tag_field="topic"):
    """This reader was too slow and lost frames: it must fetch the lists again."""


Frame = DeviceChanged | RunChanged | RoundChanged | ModelVersionChanged | Lagged
