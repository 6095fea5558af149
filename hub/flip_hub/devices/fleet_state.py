"""What the whole fleet shall do, as the registry keeps it, and what follows for a single device: pure."""

from msgspec import Struct

from flip_hub.devices.reach import Located, Reach, ring_of
from flip_wire.fleet import DesiredState, WorkNotice
from flip_wire.models import ModelAssignment

WORK = "work"


class Staged(Struct, frozen=True, kw_only=True):
    """A version that a rollout brings to part of the fleet; the others go on with what is wanted of all."""

    rollout: str
    assignment: ModelAssignment
    reaches: list[Reach]
    """Of the rings that are open."""


class FleetState(Struct, frozen=True, kw_only=True):
    generation: int
    models: list[ModelAssignment] = []
    work: list[WorkNotice] = []
    since: dict[str, float] = {}
    """When each part of it began to be wanted: `WORK`, `as_model(name)`."""
    staged: list[Staged] = []
    """One for each model at most."""

    @property
    def desired(self) -> DesiredState:
        """Of a device that no rollout has reached."""
        return DesiredState(generation=self.generation, models=self.models, work=self.work)

    def models_of(self, device: Located) -> list[ModelAssignment]:
        """What that device shall serve."""
        if not self.staged:
            return self.models
        staged = {each.assignment.model: each.assignment for each in self.staged if _ring(each, device) is not None}
        kept = [staged.pop(each.model, each) for each in self.models]
        return [*kept, *staged.values()]

    def wanted_since(self, model: str, device: Located) -> float:
        """When that device began to be meant to serve the version that it shall serve now."""
        for each in self.staged:
            if each.assignment.model == model and (ring := _ring(each, device)) is not None:
                return each.reaches[ring].since
        return self.since.get(as_model(model), 0.0)


def as_model(name: str) -> str:
    return f"model {name}"


def _ring(staged: Staged, device: Located) -> int | None:
    return ring_of(staged.rollout, staged.reaches, device)
