"""Metrics of a run's rounds, or of its steps where it has none: kept by their number, and in the log."""

import logging

from flwr.app import MetricRecord

log = logging.getLogger("flwr.flip")


def note(metrics: dict[int, MetricRecord], number: int, found: MetricRecord | None, what: str = "step") -> None:
    if found is not None:
        log.info("\t%s %d: %s", what, number, found)
        metrics[number] = found
