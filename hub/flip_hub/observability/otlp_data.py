"""The hub's spans and instruments in the data model of OpenTelemetry's SDK: pure."""

import time
from collections.abc import Mapping, Sequence

from msgspec import Struct
from opentelemetry.sdk.metrics.export import (
    AggregationTemporality,
    Gauge,
    HistogramDataPoint,
    Metric,
    MetricsData,
    NumberDataPoint,
    ResourceMetrics,
    ScopeMetrics,
    Sum,
)
from opentelemetry.sdk.metrics.export import Histogram as HistogramData
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import SpanContext, TraceFlags
from opentelemetry.trace import SpanKind as OtelKind
from opentelemetry.trace.status import Status, StatusCode

from flip_hub.observability.metrics import Histogram, Instrument, Kind, Labels, Metrics
from flip_hub.observability.spans import SpanKind, SpanRecord

_SCOPE = InstrumentationScope("flip")
_KINDS = {SpanKind.SERVER: OtelKind.SERVER, SpanKind.INTERNAL: OtelKind.INTERNAL}
_NANO = 1_000_000_000


class Origin(Struct, frozen=True, kw_only=True):
    """Which process tells."""

    version: str
    host: str
    instance: str

    def hub(self) -> Resource:
        return Resource({**self._common("flip-hub"), "service.instance.id": self.instance, "host.name": self.host})

    def device(self, device_id: str) -> Resource:
        """What a device did, told by the hub for it."""
        return Resource({**self._common("flip-agent"), "service.instance.id": device_id})

    def _common(self, name: str) -> dict[str, str]:
        return {"service.name": name, "service.namespace": "flip", "service.version": self.version}


def readable_spans(spans: Sequence[SpanRecord], origin: Origin) -> list[ReadableSpan]:
    resources = {device: origin.device(device) if device else origin.hub() for device in {s.device for s in spans}}
    return [_readable(span, resources[span.device]) for span in spans]


def _readable(span: SpanRecord, resource: Resource) -> ReadableSpan:
    return ReadableSpan(
        span.name,
        _context(span.trace_id, span.span_id),
        parent=_context(span.trace_id, span.parent_id) if span.parent_id else None,
        resource=resource,
        attributes=span.attributes,
        kind=_KINDS[span.kind],
        status=Status(StatusCode.ERROR, span.error) if span.error else Status(StatusCode.UNSET),
        start_time=_nanoseconds(span.start),
        end_time=_nanoseconds(span.start + span.duration),
        instrumentation_scope=_SCOPE,
    )


def _context(trace_id: str, span_id: str) -> SpanContext:
    sampled = TraceFlags(TraceFlags.SAMPLED)
    return SpanContext(int(trace_id, 16), int(span_id, 16), is_remote=False, trace_flags=sampled)


def metrics_data(metrics: Metrics, origin: Origin) -> MetricsData:
    """As they stand now."""
    started, now = _nanoseconds(metrics.started), _nanoseconds(time.time())
    told = [
        *(_metric(instrument, started, now) for instrument in metrics.instruments),
        *(_histogram(histogram, started, now) for histogram in metrics.histograms),
    ]
    scope = ScopeMetrics(_SCOPE, told, "")
    return MetricsData([ResourceMetrics(origin.hub(), [scope], "")])


def _metric(instrument: Instrument, started: int, now: int) -> Metric:
    points = [
        NumberDataPoint(_named(instrument.labels, labels), started, now, float(value))
        for labels, value in instrument.read().items()
    ]
    if instrument.kind is Kind.COUNTER:
        data = Sum(points, AggregationTemporality.CUMULATIVE, is_monotonic=True)
    else:
        data = Gauge(points)
    return Metric(instrument.name, instrument.help, instrument.unit, data)


def _histogram(histogram: Histogram, started: int, now: int) -> Metric:
    points = [
        HistogramDataPoint(
            _named(histogram.labels, labels),
            started,
            now,
            count=series.count,
            sum=series.sum,
            bucket_counts=list(series.counts),
            explicit_bounds=histogram.bounds,
            min=0.0,
            max=0.0,
        )
        for labels, series in histogram.series.items()
    ]
    data = HistogramData(points, AggregationTemporality.CUMULATIVE)
    return Metric(histogram.name, histogram.help, histogram.unit, data)


def _named(names: Sequence[str], values: Labels) -> Mapping[str, str]:
    return dict(zip(names, values, strict=True))


def _nanoseconds(seconds: float) -> int:
    return int(seconds * _NANO)
