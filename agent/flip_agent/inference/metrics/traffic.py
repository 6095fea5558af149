"""The metrics as `flip-agent run` and the hub hear them."""

from collections.abc import Callable

from msgspec.structs import asdict

from flip_agent.feedback.accounts import Lost
from flip_agent.inference.engine.served_model import ServedModel, Version
from flip_agent.inference.engine.served_models import ServedModels
from flip_agent.inference.metrics.latency import Latencies, percentile
from flip_agent.inference.metrics.metrics import Metrics
from flip_agent.local.messages import Traffic
from flip_wire.inference import ModelTraffic

_MEANT = frozenset({"over_rate"})
"""What is left out because somebody wants no more than a sample of it is no loss."""


class TrafficCount:
    def __init__(
        self,
        instance: str,
        models: ServedModels,
        metrics: Metrics,
        latencies: Latencies,
        lost: Callable[[], Lost],
    ) -> None:
        self._instance = instance
        self._models = models
        self._metrics = metrics
        self._latencies = latencies
        self._lost = lost
        self._told: tuple[list[ModelTraffic], dict[str, int]] | None = None

    def news(self) -> Traffic | None:
        """None when nothing has changed since the last call. What answers no more is counted no more."""
        self._metrics.keep(
            {(each.name, version.manifest.version) for each in self._models.all for version in each.known}
        )
        models = [self._of(model, version) for model in self._models.all for version in model.answering]
        slowest = self._latencies.take()
        lost = {name: count for name, count in asdict(self._lost()).items() if count and name not in _MEANT}
        if slowest is None and self._told == (models, lost):
            return None
        self._told = models, lost
        p99, requests = slowest or (None, 0)
        return Traffic(p99=p99, requests=requests, models=models, samples_lost=lost)

    def forget(self) -> None:
        """Another process is to be told everything."""
        self._told = None

    def _of(self, model: ServedModel, version: Version) -> ModelTraffic:
        counts = self._metrics.of(version)
        return ModelTraffic(
            model=model.name,
            version=version.manifest.version,
            instance=self._instance,
            requests=counts.answered,
            rows=counts.rows,
            refused=sum(counts.refused.values()) - counts.failed,
            failed=counts.failed,
            p50=percentile(counts.recent, 0.5),
            p99=percentile(counts.recent, 0.99),
            queue=model.batcher.waiting,
            swaps=model.swaps,
            rollbacks=model.rollbacks,
            seconds=counts.seconds,
            judged=counts.judged,
            correct=counts.correct,
        )
