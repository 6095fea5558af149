"""Which strategy runs: the app's, or one that the plan names, which then does as the app's does where the plan says
nothing of it."""

from collections.abc import Callable, Mapping

from flwr.serverapp.strategy import Strategy

from flip_hub.federation.aggregator.strategies.catalogue import make, schema
from flip_hub.federation.plan import Plan, Value

_OF_THE_APP = frozenset(
    {
        *("fraction_train", "fraction_evaluate", "min_train_nodes", "min_evaluate_nodes", "min_available_nodes"),
        *("weighted_by_key", "arrayrecord_key", "configrecord_key"),
    }
)
"""Options that say how the app deals with devices, whatever it does with their updates."""


def chosen_by(plan: Plan) -> Callable[[Strategy], Strategy]:
    def chosen(own: Strategy) -> Strategy:
        """Raises `Rejected`, which names the option."""
        if not plan.strategy:
            return own
        return make(plan.strategy, {**_shared(plan.strategy, vars(own)), **plan.options})

    return chosen


def _shared(name: str, own: Mapping[str, object]) -> dict[str, Value]:
    options = {option.name for option in schema(name).options} & _OF_THE_APP
    return {option: value for option in options if isinstance(value := own.get(option), bool | int | float | str)}
