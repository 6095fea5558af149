"""What this device does now, as `train`, `serve` and the rollout say; health watches it and tells the hub."""

from msgspec.structs import replace

from flip_agent.local.messages import Serving
from flip_agent.version import AGENT_VERSION
from flip_agent.watched import Watched
from flip_wire.fleet import ReportedState, RolloutFailure, ServingModel
from flip_wire.models import ModelAssignment
from flip_wire.terms import FORMS


class Reported:
    def __init__(self, generation: int) -> None:
        self.state = Watched(
            ReportedState(generation=generation, agent_version=AGENT_VERSION, training="idle", forms=list(FORMS))
        )
        self.in_session = Watched(False)
        """Whether a `train` is there, whoever started it."""
        self._held: dict[str, str] = {}
        """Why, by who says so."""

    def generation(self, generation: int) -> None:
        self.state.set(replace(self.state.value, generation=generation))

    def training(self, state: str) -> None:
        self.state.set(replace(self.state.value, training=state))

    def held(self, *, by: str, because: str) -> None:
        """`because` is empty when nothing keeps training from running, as far as `by` knows."""
        self._held[by] = because
        self.state.set(replace(self.state.value, held_because="; ".join(filter(None, self._held.values()))))

    def powered(self, *, on_battery: bool, metered: bool) -> None:
        self.state.set(replace(self.state.value, on_battery=on_battery, metered=metered))

    def mode(self, mode: str) -> None:
        self.state.set(replace(self.state.value, mode=mode))

    def serving(self, now: Serving) -> None:
        model = ServingModel(model=now.model, version=now.version, since=now.since, url=now.url, local=now.local)
        others = [each for each in self.state.value.serving if each.model != now.model]
        self.state.set(replace(self.state.value, serving=[*others, model]))

    def serving_no_more(self, models: set[str]) -> None:
        others = [each for each in self.state.value.serving if each.model not in models]
        self.state.set(replace(self.state.value, serving=others))

    def failed(self, assignment: ModelAssignment, reason: str, *, again: bool) -> bool:
        """Whether this is news. `again`: it is tried again by itself."""
        failure = RolloutFailure(model=assignment.model, version=assignment.version, reason=reason, again=again)
        news = failure not in self.state.value.failures
        self.state.set(replace(self.state.value, failures=[*self._failures_without(assignment.model), failure]))
        return news

    def settled(self, model: str) -> None:
        """Its rollout has succeeded, or is no longer wanted."""
        self.state.set(replace(self.state.value, failures=self._failures_without(model)))

    def _failures_without(self, model: str) -> list[RolloutFailure]:
        return [failure for failure in self.state.value.failures if failure.model != model]
