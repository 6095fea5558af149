"""One evaluation under way on devices, beside training: it ends when all have answered, when its time is over, or when
half have answered and the next one is due."""

from flwr.app import Message, MetricRecord
from flwr.serverapp.strategy import FedAvg

from flip_hub.federation.aggregator.demands import demands_of
from flip_hub.federation.aggregator.intake import Intake, as_error
from flip_hub.federation.aggregator.strategies.steps import Evaluated, Refused


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
        replies = sorted(self._replies, key=lambda reply: reply.metadata.src_node_id)
        reasons = Intake(demands_of(strategy)).refusals(replies, None)
        sound = [as_error(reply, reasons.get(reply.metadata.reply_to_message_id, "")) for reply in replies]
        refused = [
            Refused(message_id=message_id, node=reply.metadata.src_node_id, reason=reason)
            for reply in replies
            if (reason := reasons.get(message_id := reply.metadata.reply_to_message_id))
        ]
        of_devices = strategy.aggregate_evaluate(self.step, sound)
        return Evaluated(step=self.step, of_devices=of_devices, of_hub=self._of_hub, refused=refused)
