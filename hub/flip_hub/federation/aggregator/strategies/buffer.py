"""The updates that wait for the next step."""

from collections.abc import Collection

from flwr.app import Message, MetricRecord

from flip_hub.federation.aggregator.intake import odd_numbers
from flip_hub.federation.aggregator.strategies.buffered_step import Update
from flip_hub.federation.aggregator.strategies.refusals import metric_keys, refused_metrics, usual_metrics


class Buffer:
    def __init__(self) -> None:
        self._updates: list[Update] = []

    def __len__(self) -> int:
        return len(self._updates)

    @property
    def versions(self) -> set[int]:
        """That they began with. Of one device there may be several: it goes on while its update waits."""
        return {update.version for update in self._updates}

    def add(self, update: Update) -> None:
        self._updates.append(update)

    def odd(self, size: int) -> list[tuple[Update, str]]:
        """Takes out, of the `size` that came first, those with other metrics than most of them, or with one that is not
        finite where others' is, and why."""
        first = self._updates[:size]
        no_numbers = odd_numbers([update.reply for update in first])
        keys = [metric_keys(metrics_of(update.reply)) for update in first]
        usual = usual_metrics(keys)
        found = [
            (update, why)
            for update, of_it in zip(first, keys, strict=True)
            if (why := refused_metrics(of_it, usual) or no_numbers.get(update.message_id, ""))
        ]
        self._remove({update.message_id for update, _ in found})
        return found

    def stale(self, oldest: int) -> list[Update]:
        """Takes out those that began with a version before that."""
        found = [update for update in self._updates if update.version < oldest]
        self._remove({update.message_id for update in found})
        return found

    def take(self, size: int) -> list[Update]:
        """Those that came first, in an order that does not depend on when they came: by version, then by device."""
        taken, self._updates = self._updates[:size], self._updates[size:]
        return sorted(taken, key=lambda update: (update.version, update.node))

    def _remove(self, message_ids: Collection[str]) -> None:
        self._updates = [update for update in self._updates if update.message_id not in message_ids]


def metrics_of(reply: Message) -> MetricRecord:
    return next(iter(reply.content.metric_records.values()))
