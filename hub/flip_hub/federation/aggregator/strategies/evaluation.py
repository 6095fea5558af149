"""One evaluation under way on devices, beside training: it ends when all have answered, when its time is over, or when
half have answered and the next one is due."""

from collections.abc import Iterable, Sequence

from flwr.app import Message, MetricRecord
from flwr.serverapp.strategy import FedAvg

from flip_hub.federation.aggregator.strategies.refusals import metric_keys, refused_metrics, usual_metrics
from flip_hub.federation.aggregator.strategies.steps import Evaluated


class Evaluation:
    def __init__(self, step: int, of_hub: MetricRecord | None, asked: dict[str, int], until: float) -> None:
        """`asked`: nodes by the ids of their messages."""
        self.step = step
        self.waiting = asked
        self._of_hub = of_hub
        self._until = until
        self._enough = -(-len(asked) // 2)
        self._replies: list[Message] = []

    def came(self, reply: Message) -> bool:
        """Whether it belongs here."""
        if self.waiting.pop(reply.metadata.reply_to_message_id, None) is None:
            return False
        self._replies.append(reply)
        return True

    def over(self, now: float) -> bool:
        return not self.waiting or now >= self._until

    def may_end(self, now: float) -> bool:
        """For the next one to begin: half of the devices have answered."""
        return self.over(now) or len(self._replies) >= self._enough

    def result(self, strategy: FedAvg) -> Evaluated:
        replies = _alike(sorted(self._replies, key=lambda reply: reply.metadata.src_node_id))
        of_devices = strategy.aggregate_evaluate(self.step, replies)
        return Evaluated(step=self.step, of_devices=of_devices, of_hub=self._of_hub)


def _alike(replies: Iterable[Message]) -> Sequence[Message]:
    """Without those that Flower's strategies would end the run for: metrics that others do not have."""
    sound = [reply for reply in replies if reply.has_content() and len(reply.content.metric_records) == 1]
    keys = [metric_keys(next(iter(reply.content.metric_records.values()))) for reply in sound]
    usual = usual_metrics(keys) if keys else frozenset[tuple[str, int]]()
    return [reply for reply, of_it in zip(sound, keys, strict=True) if not refused_metrics(of_it, usual)]
