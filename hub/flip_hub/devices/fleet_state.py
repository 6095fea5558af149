"""What the whole fleet shall do, as the registry keeps it."""

from msgspec import Struct

from flip_wire.fleet import DesiredState, WorkNotice
from flip_wire.models import ModelAssignment

WORK = "work"


class FleetState(Struct, frozen=True, kw_only=True):
    generation: int
    models: list[ModelAssignment] = []
    work: list[WorkNotice] = []
    since: dict[str, float] = {}
    """When each part of it began to be wanted: `WORK`, `as_model(name)`."""

    @property
    def desired(self) -> DesiredState:
        return DesiredState(generation=self.generation, models=self.models, work=self.work)


def as_model(name: str) -> str:
    return f"model {name}"
