"""Whether a plan's strategy can be run with its options, and with what else the plan asks for: pure."""

from flip_hub.federation.aggregator.strategies.catalogue import make, schema
from flip_hub.federation.plan import Plan
from flip_runtime.errors import Rejected


def check_strategy(plan: Plan) -> None:
    """Raises `Rejected`, which names the field."""
    if not plan.strategy:
        if plan.options:
            hint = "name it in plan.strategy: flip-hub strategies list"
            raise Rejected("plan.options: they are of no strategy; the app's own has been told its options", hint=hint)
        return
    make(plan.strategy, plan.options)
    found = schema(plan.strategy)
    if plan.folding is not None and not found.rounds:
        raise Rejected(
            f"plan.folding: {found.name} takes late updates by itself",
            hint="leave out the folding; plan.options.staleness_exponent and max_staleness say the same",
        )
    if plan.folding is not None and not found.same_shapes:
        raise Rejected(
            f"plan.folding: what {found.name} is sent cannot be added to a later model",
            hint="leave out the folding: the hub keeps late contributions as ever",
        )
    for name in ("quorum", "over_sample"):
        if getattr(plan.rounds, name) and not found.rounds:
            hint = "plan.options.buffer_size says how many updates make a step"
            raise Rejected(f"plan.rounds.{name}: {found.name} has no rounds", hint=hint)
