"""What this process has answered since it started, in counters that cost each call about a microsecond.

Rows, batches and refusals are counted by model and version; names and versions that do not exist here, which a client
may invent without end, are counted together.
"""

import bisect
import time
from collections import deque
from collections.abc import Container, Sequence
from dataclasses import dataclass, field

from msgspec import Struct

from flip_agent.inference.engine.engine import Call
from flip_agent.inference.engine.served_model import Version
from flip_agent.inference.problems import Refusal, Uncomputable

LATENCY_BOUNDS = (5e-4, 1e-3, 2.5e-3, 5e-3, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
"""Seconds."""
_VERSIONS = 64
"""That are counted apart; beyond them the oldest are forgotten."""
_RECENT = 1024
_EXACT_SIZES = 128
"""Rows; larger batches are counted with the next power of two."""


class Duration(Struct, frozen=True):
    count: int
    seconds: float

    @property
    def nanoseconds(self) -> int:
        return round(self.seconds * 1e9)


class BatchStatistics(Struct, frozen=True, kw_only=True):
    rows: int
    """Of each of these batches; exact up to 128."""
    compute: Duration


class Statistics(Struct, frozen=True, kw_only=True):
    """Of one version, in Triton's terms."""

    model: str
    version: int
    last_inference: float
    """When the last batch was computed, in seconds since 1970; 0 when none was."""
    inference_count: int
    """Rows that were answered."""
    execution_count: int
    """Batches."""
    success: Duration
    fail: Duration
    """Calls that were refused, whoever was to blame."""
    queue: Duration
    """Of the successful calls, what they waited for their batch."""
    compute: Duration
    """Of the successful calls, what their batch took."""
    batches: list[BatchStatistics]


@dataclass(slots=True)
class Counts:
    """Of one version of one model."""

    answered: int = 0
    rows: int = 0
    seconds: float = 0.0
    """Of the answered calls, the wait for their turn included."""
    latency: list[int] = field(default_factory=lambda: [0] * (len(LATENCY_BOUNDS) + 1))
    """Answered calls per bucket of `LATENCY_BOUNDS`, the last one without a bound."""
    recent: deque[float] = field(default_factory=lambda: deque[float](maxlen=_RECENT))
    """Seconds of the newest answered calls."""
    failed: int = 0
    """Refused because the version could not compute them."""
    judged: int = 0
    """Answers whose truth became known."""
    correct: int = 0
    refused: dict[int, int] = field(default_factory=dict[int, int])
    """All that were refused, by HTTP status."""
    refused_seconds: float = 0.0
    batches: dict[int, int] = field(default_factory=dict[int, int])
    """How many, by their rows."""
    batch_rows: int = 0
    batch_seconds: dict[int, float] = field(default_factory=dict[int, float])
    job_seconds: float = 0.0
    """Seconds of each batch, as often as it held a call."""
    last: float = 0.0

    def statistics(self, model: str, version: int) -> Statistics:
        return Statistics(
            model=model,
            version=version,
            last_inference=self.last,
            inference_count=self.rows,
            execution_count=sum(self.batches.values()),
            success=Duration(self.answered, self.seconds),
            fail=Duration(sum(self.refused.values()), self.refused_seconds),
            queue=Duration(self.answered, max(0.0, self.seconds - self.job_seconds)),
            compute=Duration(self.answered, self.job_seconds),
            batches=[
                BatchStatistics(rows=rows, compute=Duration(count, self.batch_seconds[rows]))
                for rows, count in sorted(self.batches.items())
            ],
        )


class Metrics:
    """A listener of the engine, and told of each batch by the batchers. Used on the event loop."""

    def __init__(self) -> None:
        self.of_versions: dict[tuple[str, int], Counts] = {}
        self.strangers: dict[int, int] = {}
        """Calls for models and versions that are not here, by HTTP status."""

    # ---- told ----

    def answered(self, call: Call) -> None:
        counts = self.of(call.target.version)
        counts.answered += 1
        counts.rows += call.inputs[0].shape[0]
        counts.seconds += call.seconds
        counts.recent.append(call.seconds)
        counts.latency[bisect.bisect_left(LATENCY_BOUNDS, call.seconds)] += 1

    def refused(self, model: str, version: Version | None, refusal: Refusal, seconds: float) -> None:
        status = int(refusal.status)
        if version is None:
            self.strangers[status] = self.strangers.get(status, 0) + 1
            return
        counts = self.of(version)
        counts.failed += isinstance(refusal, Uncomputable)
        counts.refused[status] = counts.refused.get(status, 0) + 1
        counts.refused_seconds += seconds

    def judged(self, model: str, version: int, correct: bool) -> None:
        """Feedback has come: `feedback.judgement.Judged`. Of a version that nobody counts any more it is not told."""
        if (counts := self.of_versions.get((model, version))) is not None:
            counts.judged += 1
            counts.correct += correct

    def executed(self, model: str, version: int, jobs: int, rows: int, seconds: float) -> None:
        counts = self.of_versions.get((model, version)) or self._new(model, version)
        size = rows if rows <= _EXACT_SIZES else 1 << (rows - 1).bit_length()
        counts.batches[size] = counts.batches.get(size, 0) + 1
        counts.batch_seconds[size] = counts.batch_seconds.get(size, 0.0) + seconds
        counts.batch_rows += rows
        counts.job_seconds += jobs * seconds
        counts.last = time.time()

    # ---- asked ----

    def statistics(self, model: str, versions: Sequence[int]) -> list[Statistics]:
        """Of each of these versions, also of those that were never called."""
        return [self.of_versions.get((model, version), Counts()).statistics(model, version) for version in versions]

    def of(self, version: Version) -> Counts:
        """Its counts go on for as long as it answers, and no longer than the process."""
        manifest = version.manifest
        return self.of_versions.get((manifest.model, manifest.version)) or self._new(manifest.model, manifest.version)

    def keep(self, versions: Container[tuple[str, int]]) -> None:
        """The others are forgotten: of one that comes back nobody shall take old failures for new ones."""
        for gone in [each for each in self.of_versions if each not in versions]:
            del self.of_versions[gone]

    def _new(self, model: str, version: int) -> Counts:
        while len(self.of_versions) >= _VERSIONS:
            del self.of_versions[next(iter(self.of_versions))]
        counts = self.of_versions[model, version] = Counts()
        return counts
