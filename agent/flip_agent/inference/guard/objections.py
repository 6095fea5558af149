"""Is a version fit to answer? Pure decisions over counts; who counts, and what follows, is `guardian`'s and `trial`'s.

Nothing is decided on fewer than `judged_by` observations, and a version is blamed only for what the version before does
better: apps that send what no model could compute, a busy machine or a world that has changed are no reason to go back.
"""

from msgspec import Struct

LEAST_P99 = 0.02
"""Seconds: an answer within it is slow for nobody, whatever the version before took."""


class Limits(Struct, frozen=True, kw_only=True):
    judged_by: int
    """The least number of calls, compared answers or feedbacks."""
    max_error_rate: float
    """Share of calls that the version cannot compute, above that of the version before; 1: any."""
    max_slowdown: float
    """How many times as long as the version before; 0: any."""
    min_agreement: float
    """Share of rows answered as the other version does; 0: any."""
    min_accuracy: float
    """Share of right answers among the newest feedbacks; 0: any."""


class Figures(Struct, frozen=True, kw_only=True):
    """What was seen of one version."""

    calls: int = 0
    """Answered, and failed."""
    failed: int = 0
    """It could not compute them."""
    p99: float = 0.0
    """Seconds, of the answered ones."""
    judged: int = 0
    """Feedbacks."""
    correct: int = 0

    @property
    def error_rate(self) -> float:
        return self.failed / self.calls if self.calls else 0.0

    @property
    def accuracy(self) -> float:
        return self.correct / self.judged if self.judged else 0.0


class Agreement(Struct, frozen=True, kw_only=True):
    """A candidate beside the version of reference, on the same inputs."""

    calls: int = 0
    rows: int = 0
    agreeing: int = 0
    """Rows."""
    failed: int = 0
    """Calls that only the candidate could not compute."""
    seconds: float = 0.0
    """Of CPU, that the candidate took."""
    reference_seconds: float = 0.0

    @property
    def rate(self) -> float:
        return self.agreeing / self.rows if self.rows else 1.0

    @property
    def slowdown(self) -> float:
        """How many times the CPU of the reference; 1 where nothing was compared."""
        return self.seconds / self.reference_seconds if self.reference_seconds else 1.0


def accuracy_objection(limits: Limits, now: Figures, before: Figures) -> str:
    """Why the version that `now` is about must give way; empty when it need not."""
    if not limits.min_accuracy or now.judged < limits.judged_by or now.accuracy >= limits.min_accuracy:
        return ""
    if before.judged >= limits.judged_by and before.accuracy <= now.accuracy:
        return ""  # the version before was no better: what changed is the world
    return (
        f"accuracy {now.accuracy:.2f} on the newest {now.judged} answers whose truth is known, "
        f"models.min_accuracy is {limits.min_accuracy:g}"
    )


def error_objection(limits: Limits, now: Figures, before: Figures) -> str:
    if now.calls < limits.judged_by or now.error_rate - before.error_rate <= limits.max_error_rate:
        return ""
    return (
        f"it cannot compute {now.failed} of {now.calls} calls, the version before {before.failed} of {before.calls}; "
        f"models.max_error_rate is {limits.max_error_rate:g}"
    )


def latency_objection(limits: Limits, now: Figures, before: Figures, slowdown: float) -> str:
    """`slowdown`: how many times the CPU of the version before its forwards take. Calls are slow for many reasons: only
    a version whose own work has grown is to blame."""
    if not limits.max_slowdown or min(now.calls - now.failed, before.calls - before.failed) < limits.judged_by:
        return ""
    if now.p99 <= max(LEAST_P99, limits.max_slowdown * before.p99) or slowdown <= limits.max_slowdown:
        return ""
    return (
        f"p99 {1000 * now.p99:.0f} ms where the version before took {1000 * before.p99:.0f} ms, with "
        f"{slowdown:.1f} times the CPU; models.max_slowdown is {limits.max_slowdown:g}"
    )


def agreement_objection(limits: Limits, seen: Agreement) -> str:
    if not limits.min_agreement or seen.calls < limits.judged_by or seen.rate >= limits.min_agreement:
        return ""
    return (
        f"it answers {seen.agreeing} of {seen.rows} rows as the version before, "
        f"models.min_agreement is {limits.min_agreement:g}"
    )


def shadow_objection(limits: Limits, seen: Agreement) -> str:
    """To a version that was compared before it has answered anybody."""
    if seen.calls < limits.judged_by:
        return ""
    if seen.failed / seen.calls > limits.max_error_rate:
        return (
            f"it cannot compute {seen.failed} of {seen.calls} live calls that the version before computes; "
            f"models.max_error_rate is {limits.max_error_rate:g}"
        )
    if limits.max_slowdown and seen.slowdown > limits.max_slowdown and seen.seconds / seen.calls > LEAST_P99:
        return (
            f"it takes {1000 * seen.seconds / seen.calls:.0f} ms of CPU for a live call, {seen.slowdown:.1f} times as "
            f"much as the version before; models.max_slowdown is {limits.max_slowdown:g}"
        )
    return agreement_objection(limits, seen)
