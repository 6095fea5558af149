"""Strategies over HTTP, for people."""

from litestar import Controller, get
from litestar.params import FromPath

from flip_hub.auth.guards import needs
from flip_hub.auth.permissions import Permission
from flip_hub.federation.aggregator.strategies.catalogue import catalogue
from flip_hub.federation.strategy_schemas import StrategySchema
from flip_hub.problem import NotFound


class StrategyController(Controller):
    path = "/api/v1/strategies"
    tags = ("runs",)

    @get(guards=[needs(Permission.RUNS_READ)], sync_to_thread=False)
    def list_strategies(self) -> list[StrategySchema]:
        """Those that a run can be started with by name (`plan.strategy`), with their options (`plan.options`)."""
        return [*catalogue().values()]

    @get("/{name:str}", guards=[needs(Permission.RUNS_READ)], sync_to_thread=False)
    def get_strategy(self, name: FromPath[str]) -> StrategySchema:
        found = catalogue().get(name)
        if found is None:
            raise NotFound(f"no strategy {name[:40]!r}", hint="GET /api/v1/strategies lists them")
        return found
