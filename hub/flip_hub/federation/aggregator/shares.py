"""Which share a device's reply has in the aggregate of a round, where the strategy weighs replies by their samples."""

from collections.abc import Sequence

from flwr.app import Message
from flwr.serverapp import strategy as stock
from flwr.serverapp.strategy import FedAvg, Strategy

from flip_hub.federation.aggregator.statements import EXAMPLES

_ROBUST = tuple(
    kind
    for name in ("FedMedian", "FedTrimmedAvg", "Krum", "MultiKrum", "Bulyan")
    if isinstance(kind := getattr(stock, name, None), type)
)
"""They choose among replies, or weigh each entry of an array on its own."""


def shares_of(strategy: Strategy, replies: Sequence[Message]) -> dict[str, float]:
    """By the instruction's id; empty of a strategy that weighs otherwise, or of which that is not known."""
    if not isinstance(strategy, FedAvg) or isinstance(strategy, _ROBUST) or strategy.weighted_by_key != EXAMPLES:
        return {}
    samples = {
        reply.metadata.reply_to_message_id: float(number)
        for reply in replies
        if reply.has_content()
        for record in reply.content.metric_records.values()
        if isinstance(number := record.get(EXAMPLES), int | float)
    }
    total = sum(samples.values())
    return {message_id: count / total for message_id, count in samples.items()} if total > 0 else {}
