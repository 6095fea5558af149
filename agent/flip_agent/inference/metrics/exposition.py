"""The counters in Prometheus' text format, gathered when they are asked for.

https://prometheus.io/docs/instrumenting/exposition_formats/
"""

from collections.abc import Iterator
from itertools import accumulate

from msgspec.structs import asdict
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, InfoMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector, CollectorRegistry

from flip_agent.feedback.accounts import Lost
from flip_agent.inference.engine.served_models import ServedModels
from flip_agent.inference.metrics.metrics import LATENCY_BOUNDS, Counts, Metrics
from flip_agent.memory import resident_bytes

_BATCH_BOUNDS = tuple(2.0**power for power in range(11))
"""Rows."""
_VERSION = ["model", "version"]


CONTENT_TYPE = CONTENT_TYPE_LATEST


def exposition(models: ServedModels, metrics: Metrics, lost: Lost) -> bytes:
    registry = CollectorRegistry()
    registry.register(Gathered(models, metrics, lost))
    return generate_latest(registry)


class Gathered(Collector):
    def __init__(self, models: ServedModels, metrics: Metrics, lost: Lost) -> None:
        self._models = models
        self._metrics = metrics
        self._lost = lost

    def collect(self) -> Iterator[Metric]:
        yield from self._calls()
        yield from self._batches()
        yield from self._versions()
        lost = CounterMetricFamily(
            "flip_samples_lost", "Samples and predictions that could not be kept, or were let go.", labels=["why"]
        )
        for why, count in asdict(self._lost).items():
            lost.add_metric([why], count)
        yield lost
        rss = GaugeMetricFamily("process_resident_memory_bytes", "Memory of this process.")
        rss.add_metric([], resident_bytes())
        yield rss

    def _calls(self) -> Iterator[Metric]:
        requests = CounterMetricFamily(
            "flip_inference_requests", "Calls by what became of them.", labels=[*_VERSION, "outcome"]
        )
        refused = CounterMetricFamily(
            "flip_inference_rejections", "Calls that were refused, by HTTP status.", labels=[*_VERSION, "status"]
        )
        rows = CounterMetricFamily("flip_inference_rows", "Rows that were answered.", labels=_VERSION)
        latency = HistogramMetricFamily(
            "flip_inference_request_seconds", "Answered calls, from checked inputs to outputs.", labels=_VERSION
        )
        for labels, counts in self._counts():
            requests.add_metric([*labels, "answered"], counts.answered)
            requests.add_metric([*labels, "failed"], counts.failed)
            requests.add_metric([*labels, "refused"], sum(counts.refused.values()) - counts.failed)
            for status, count in counts.refused.items():
                refused.add_metric([*labels, str(status)], count)
            rows.add_metric(labels, counts.rows)
            latency.add_metric(labels, _buckets(LATENCY_BOUNDS, counts.latency), counts.seconds)
        for status, count in self._metrics.strangers.items():
            refused.add_metric(["", "", str(status)], count)
        yield from (requests, refused, rows, latency)

    def _batches(self) -> Iterator[Metric]:
        batches = HistogramMetricFamily("flip_inference_batch_rows", "Computed batches by their rows.", labels=_VERSION)
        seconds = CounterMetricFamily("flip_inference_compute_seconds", "Time in forwards.", labels=_VERSION)
        for labels, counts in self._counts():
            sizes = [0] * (len(_BATCH_BOUNDS) + 1)
            for rows, count in counts.batches.items():
                sizes[min((rows - 1).bit_length(), len(_BATCH_BOUNDS))] += count
            batches.add_metric(labels, _buckets(_BATCH_BOUNDS, sizes), counts.batch_rows)
            seconds.add_metric(labels, sum(counts.batch_seconds.values()))
        yield from (batches, seconds)

    def _versions(self) -> Iterator[Metric]:
        serving = InfoMetricFamily("flip_inference_model", "The version that answers.", labels=["model"])
        since = GaugeMetricFamily("flip_inference_active_since_seconds", "When it took over.", labels=["model"])
        loaded = GaugeMetricFamily("flip_inference_loaded", "1 while it is in memory, 0 asleep.", labels=_VERSION)
        queue = GaugeMetricFamily("flip_inference_queue", "Calls that wait for their forward.", labels=["model"])
        swaps = CounterMetricFamily("flip_inference_swaps", "Versions that took over.", labels=["model"])
        rollbacks = CounterMetricFamily("flip_inference_rollbacks", "Versions given up here.", labels=["model"])
        for model in self._models.all:
            for version in model.answering:
                loaded.add_metric([model.name, str(version.manifest.version)], version.loaded is not None)
            if model.active is not None:
                about = {"version": str(model.active.manifest.version), "manifest": model.active.sha256}
                serving.add_metric([model.name], about)
                since.add_metric([model.name], model.active.since)
            queue.add_metric([model.name], model.batcher.waiting)
            swaps.add_metric([model.name], model.swaps)
            rollbacks.add_metric([model.name], model.rollbacks)
        yield from (serving, since, loaded, queue, swaps, rollbacks)

    def _counts(self) -> Iterator[tuple[list[str], Counts]]:
        for (model, version), counts in self._metrics.of_versions.items():
            yield [model, str(version)], counts


def _buckets(bounds: tuple[float, ...], counts: list[int]) -> list[tuple[str, float]]:
    """Cumulative, as the format wants them."""
    return list(zip((*map(str, bounds), "+Inf"), accumulate(counts), strict=True))
