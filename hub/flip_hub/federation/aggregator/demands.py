"""What a strategy computes with beside arrays that fit, and would end the run for, or spoil the model, where one device
does not send it: one record of each kind, the number that it weighs by, a loss, trees."""

from typing import Any

import msgspec
from flwr.app import Array, Message, MetricRecord
from flwr.serverapp.strategy import FedAvg, FedXgbBagging, QFedAvg, Strategy
from msgspec import Struct

from flip_hub.federation.aggregator.statements import EXAMPLES
from flip_hub.federation.aggregator.strategies.refusals import refused_samples
from flip_hub.federation.schemas import Phase


class Demands(Struct, frozen=True, kw_only=True):
    weighed_by: str = EXAMPLES
    """The metric that must be a number of samples where it is there."""
    strict: bool = False
    """Whether the strategy ends the run for a reply without it, or without its one record of each kind."""
    loss: str = ""
    """A metric that must be there; empty: none."""
    trees: bool = False
    """Whether its arrays are trees of XGBoost, in JSON."""

    def wrong(self, reply: Message) -> str:
        """Whatever the others sent, in words for people; empty when all is well."""
        for record in reply.content.metric_records.values():
            if self.weighed_by in record and (reason := refused_samples(record[self.weighed_by])):
                return reason
        if not self._training(reply):
            return ""
        return self._wrong_loss(reply) or (_no_trees(reply) if self.trees else "")

    def lacking(self, reply: Message) -> str:
        """What the strategy ends the run for: refused, unless no device sends it, so that the app is wrong."""
        kind = reply.metadata.message_type.split(".")[0]
        if not self.strict or kind not in (Phase.TRAIN, Phase.EVALUATE):
            return ""
        content = reply.content
        if self._training(reply) and len(content.array_records) != 1:
            return f"it has {len(content.array_records)} array records, not one"
        if len(content.metric_records) != 1:
            return f"it has {len(content.metric_records)} metric records, not one"
        metrics = _metrics(reply)
        for name in (self.weighed_by, self.loss if self._training(reply) else ""):
            if name and name not in metrics:
                return f"it lacks the metric {name[:80]!r}, which the strategy computes with"
        return ""

    def _training(self, reply: Message) -> bool:
        return reply.metadata.message_type.split(".")[0] == Phase.TRAIN

    def _wrong_loss(self, reply: Message) -> str:
        loss = _metrics(reply).get(self.loss) if self.loss else None
        if loss is None or (isinstance(loss, int | float) and 0 <= loss < float("inf")):
            return ""
        return f"its {self.loss[:80]} is {str(loss)[:40]}, not a loss of 0 or more"


def demands_of(strategy: Strategy) -> Demands:
    while isinstance(inner := getattr(strategy, "strategy", None), Strategy):
        strategy = inner  # a wrapper of Flower's, around it
    if not isinstance(strategy, FedAvg):
        return Demands()
    # an app's own may do without what Flower's insist on
    theirs = type(strategy).aggregate_train.__module__.startswith("flwr.")
    return Demands(
        weighed_by=strategy.weighted_by_key,
        strict=theirs,
        loss=strategy.train_loss_key if theirs and isinstance(strategy, QFedAvg) else "",
        trees=theirs and isinstance(strategy, FedXgbBagging),
    )


def _metrics(reply: Message) -> MetricRecord:
    return next(iter(reply.content.metric_records.values()), MetricRecord())


# ---- trees ------------------------------------------------------------------------------------------------------


class _Counts(Struct, frozen=True):
    """XGBoost writes numbers as texts."""

    num_trees: str
    num_parallel_tree: str


class _Model(Struct, frozen=True):
    gbtree_model_param: _Counts
    iteration_indptr: list[int]
    trees: list[dict[str, Any]]
    tree_info: list[int]


class _Booster(Struct, frozen=True):
    model: _Model


class _Learner(Struct, frozen=True):
    gradient_booster: _Booster


class _Trees(Struct, frozen=True):
    """As `Booster.save_raw("json")` gives them, as far as FedXgbBagging reads them."""

    learner: _Learner


def _no_trees(reply: Message) -> str:
    for record in reply.content.array_records.values():
        for array in record.values():
            if reason := _not_of_trees(array):
                return reason
    return ""


def _not_of_trees(array: Array) -> str:
    try:
        model = msgspec.json.decode(array.numpy().tobytes(), type=_Trees).learner.gradient_booster.model
        added = int(model.gbtree_model_param.num_parallel_tree)
        int(model.gbtree_model_param.num_trees)
    except (msgspec.DecodeError, UnicodeDecodeError, ValueError) as error:
        return f"it holds no trees of XGBoost in JSON: {str(error)[:100]}"
    if not model.iteration_indptr or not 0 < added <= len(model.trees):
        return f"it says that it adds {added} trees, and has {len(model.trees)}"
    return ""
