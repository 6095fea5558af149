"""Which version of a finished run the devices shall serve."""

import math
from collections.abc import Sequence

from msgspec import Struct

from flip_hub.federation.schemas import Round
from flip_hub.models.schemas import ModelVersion


class Choice(Struct, frozen=True):
    version: ModelVersion | None
    """None when no version can be served."""
    note: str
    """For people, when the metric could not decide; empty otherwise."""


def best_version(versions: Sequence[ModelVersion], rounds: Sequence[Round], metric: str) -> Choice:
    """The deployable version with the best value of `metric`, the earlier of equals.

    Higher is better, except for metrics whose name ends in `loss`. A round's own evaluation counts; what the
    manifest says, where the round has none. Without any value it is the last deployable version.
    """
    deployable = sorted((version for version in versions if version.deployable), key=_round_of)
    if not deployable:
        return Choice(None, "no version of this run can be served" if versions else "this run made no model")
    evaluated = {round.round: round.evaluate_metrics for round in rounds}
    valued = [
        (value, version)
        for version in deployable
        if (value := _value(version, evaluated.get(_round_of(version), {}), metric)) is not None
    ]
    if not valued:
        last = deployable[-1]
        return Choice(last, f"no round has the metric {metric!r}: the last version, {last.version}, was taken as best")
    sign = -1.0 if metric.endswith("loss") else 1.0
    return Choice(max(valued, key=lambda candidate: sign * candidate[0])[1], "")


def _round_of(version: ModelVersion) -> int:
    return version.manifest.round


def _value(version: ModelVersion, evaluated: dict[str, float], metric: str) -> float | None:
    value = evaluated.get(metric, version.manifest.metrics.get(metric))
    return value if value is not None and math.isfinite(value) else None
