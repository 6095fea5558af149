"""The instruments in Prometheus' text format."""

from collections.abc import Iterator

from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from flip_hub.observability.metrics import Histogram, Instrument, Kind, Metrics

MEDIA_TYPE = CONTENT_TYPE_LATEST
_UNITS = {"s": "seconds", "By": "bytes", "1": ""}


def exposition(metrics: Metrics) -> bytes:
    return generate_latest(_Collected(metrics))


class _Collected(Collector):
    """What `generate_latest` takes for a registry."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    def collect(self) -> Iterator[Metric]:
        yield from map(_family, self._metrics.instruments)
        yield from map(_buckets, self._metrics.histograms)


def _family(instrument: Instrument) -> Metric:
    kind = CounterMetricFamily if instrument.kind is Kind.COUNTER else GaugeMetricFamily
    family = kind(_name(instrument.name, instrument.unit), instrument.help, labels=instrument.labels)
    for labels, value in instrument.read().items():
        family.add_metric(labels, value)
    return family


def _buckets(histogram: Histogram) -> Metric:
    name = _name(histogram.name, histogram.unit)
    family = HistogramMetricFamily(name, histogram.help, labels=histogram.labels)
    for labels, series in histogram.series.items():
        so_far, buckets = 0, list[tuple[str, float]]()
        for bound, count in zip((*histogram.bounds, float("inf")), series.counts, strict=True):
            so_far += count
            buckets.append(("+Inf" if bound == float("inf") else f"{bound:g}", so_far))
        family.add_metric(labels, buckets, sum_value=series.sum)
    return family


def _name(name: str, unit: str) -> str:
    suffix = _UNITS[unit]
    return "_".join(filter(None, (name.replace(".", "_"), suffix)))
