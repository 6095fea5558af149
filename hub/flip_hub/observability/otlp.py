"""A collector that takes OTLP, over gRPC (4317) or HTTP (4318): OpenTelemetry's exporters, in a thread of their own.

A call returns once the collector has acknowledged, and raises `Unavailable` when it has not within seconds: what to do
then is the caller's. The exporters' own warnings are not shown; `flip_hub.observability.export` says it once.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from grpc import ssl_channel_credentials
from msgspec import Struct
from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter as GrpcMetrics
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter as GrpcSpans
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter as HttpMetrics
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter as HttpSpans
from opentelemetry.sdk.metrics.export import MetricExporter, MetricExportResult
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

from flip_hub.observability.metrics import Metrics
from flip_hub.observability.otlp_data import Origin, metrics_data, readable_spans
from flip_hub.observability.spans import SpanRecord
from flip_hub.settings import OtlpSection
from flip_runtime.errors import ConfigError, Unavailable

ANSWERS_WITHIN = 5.0
"""Seconds, with the exporter's own tries."""

Result = TypeVar("Result")


class Collector:
    def __init__(self, settings: OtlpSection, origin: Origin) -> None:
        """Raises `ConfigError` for files that cannot be read; connects when it is first used."""
        logging.getLogger("opentelemetry").setLevel(logging.CRITICAL)
        logging.getLogger("urllib3").setLevel(logging.ERROR)
        self.endpoint = settings.endpoint
        self._origin = origin
        self._exporters = _exporters(settings)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="otlp")

    async def take_spans(self, spans: Sequence[SpanRecord]) -> None:
        """Raises `Unavailable`."""
        ready = readable_spans(spans, self._origin)
        if await self._apart(lambda: self._exporters.spans.export(ready)) is not SpanExportResult.SUCCESS:
            raise self._away()

    async def take_metrics(self, metrics: Metrics) -> None:
        """As they stand now. Raises `Unavailable`."""
        data = metrics_data(metrics, self._origin)
        if await self._apart(lambda: self._exporters.metrics.export(data)) is not MetricExportResult.SUCCESS:
            raise self._away()

    def close(self) -> None:
        """What is under way is given up."""
        self._thread.shutdown(wait=False, cancel_futures=True)
        self._exporters.spans.shutdown()
        self._exporters.metrics.shutdown()

    async def _apart(self, export: Callable[[], Result]) -> Result:
        return await asyncio.get_running_loop().run_in_executor(self._thread, export)

    def _away(self) -> Unavailable:
        return Unavailable(f"{self.endpoint} does not take it", hint="see [otlp] in hub.toml")


class _Exporters(Struct, frozen=True):
    spans: SpanExporter
    metrics: MetricExporter


def _exporters(settings: OtlpSection) -> _Exporters:
    headers, authority = _headers(settings.headers_file), settings.certificate
    if settings.protocol == "grpc":
        roots = None if authority is None else _read(authority, "otlp.certificate")
        credentials = ssl_channel_credentials(roots) if settings.endpoint.startswith("https:") else None
        lower = tuple((name.lower(), value) for name, value in headers.items())  # as HTTP/2 wants them
        return _Exporters(
            GrpcSpans(settings.endpoint, credentials=credentials, headers=lower, timeout=ANSWERS_WITHIN),
            GrpcMetrics(settings.endpoint, credentials=credentials, headers=lower, timeout=ANSWERS_WITHIN),
        )
    root, roots_file = settings.endpoint.rstrip("/"), None if authority is None else str(authority)
    if authority is not None:
        _read(authority, "otlp.certificate")
    return _Exporters(
        HttpSpans(f"{root}/v1/traces", certificate_file=roots_file, headers=headers, timeout=ANSWERS_WITHIN),
        HttpMetrics(f"{root}/v1/metrics", certificate_file=roots_file, headers=headers, timeout=ANSWERS_WITHIN),
    )


def _headers(path: Path | None) -> dict[str, str]:
    """Of a file with a line `NAME: VALUE` for each."""
    headers: dict[str, str] = {}
    for line in [] if path is None else _read(path, "otlp.headers_file").splitlines():
        name, colon, value = line.decode("latin-1").partition(":")
        if line.strip() and not (colon and name.strip()):
            raise ConfigError("a line of otlp.headers_file has no colon", hint="write NAME: VALUE on each line")
        if colon:
            headers[name.strip()] = value.strip()
    return headers


def _read(path: Path, setting: str) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ConfigError(f"cannot read {path}: {error.strerror}", hint=f"correct {setting}") from error
