"""Which version of a run is its best."""

from flip_hub.federation.schemas import Round
from flip_hub.federation.selection import best_version
from flip_hub.models.schemas import ModelVersion
from flip_wire.models import GRAPH, WEIGHTS, FileRef, Manifest, Probe, Sha256

FILE = FileRef(name=WEIGHTS, sha256=Sha256("0" * 64), size=1)


def version(round: int, *, deployable: bool = True, **metrics: float) -> ModelVersion:
    manifest = Manifest(
        model="tiny",
        version=round + 10,
        created_at=1.0,
        weights=FILE,
        graph=FileRef(name=GRAPH, sha256=Sha256("1" * 64), size=1) if deployable else None,
        probe=Probe(inputs=[], outputs=[]) if deployable else None,
        round=round,
        metrics=metrics,
    )
    return ModelVersion(
        model="tiny",
        version=manifest.version,
        manifest_sha256=Sha256("2" * 64),
        manifest=manifest,
        deployable=deployable,
        promoted=False,
    )


def evaluated(round: int, **metrics: float) -> Round:
    return Round(
        run_id="run-1",
        round=round,
        started_at=1.0,
        finished_at=2.0,
        sampled=[],
        answered=[],
        failures=[],
        train_metrics={},
        evaluate_metrics=metrics,
        version=None,
    )


def chosen(versions: list[ModelVersion], rounds: list[Round], metric: str) -> tuple[int | None, str]:
    choice = best_version(versions, rounds, metric)
    return (None if choice.version is None else choice.version.manifest.round), choice.note


THREE = [version(3), version(2), version(1)]


def test_higher_is_better() -> None:
    rounds = [evaluated(1, accuracy=0.5), evaluated(2, accuracy=0.9), evaluated(3, accuracy=0.8)]
    assert chosen(THREE, rounds, "accuracy") == (2, "")


def test_lower_is_better_for_a_loss() -> None:
    rounds = [evaluated(1, **{"hub-loss": 0.5}), evaluated(2, **{"hub-loss": 0.9}), evaluated(3, **{"hub-loss": 0.8})]
    assert chosen(THREE, rounds, "hub-loss") == (1, "")


def test_of_equals_the_earlier_round_is_taken() -> None:
    assert chosen(THREE, [evaluated(n, accuracy=0.9) for n in (1, 2, 3)], "accuracy") == (1, "")
    assert chosen(THREE, [evaluated(n, loss=0.1) for n in (1, 2, 3)], "loss") == (1, "")


def test_versions_that_cannot_be_served_are_passed_over() -> None:
    versions = [version(2, deployable=False), version(1)]
    assert chosen(versions, [evaluated(1, accuracy=0.1), evaluated(2, accuracy=0.9)], "accuracy") == (1, "")


def test_the_manifest_speaks_where_the_round_is_silent() -> None:
    assert chosen([version(1, accuracy=0.2), version(2, accuracy=0.7)], [], "accuracy") == (2, "")


def test_without_the_metric_the_last_version_is_taken_and_said_so() -> None:
    number, note = chosen(THREE, [evaluated(1, loss=0.3)], "accuracy")
    assert number == 3
    assert note == "no round has the metric 'accuracy': the last version, 13, was taken as best"


def test_a_value_that_is_no_number_never_wins() -> None:
    rounds = [evaluated(1, accuracy=0.1), evaluated(2, accuracy=float("nan"))]
    assert chosen([version(1), version(2)], rounds, "accuracy") == (1, "")


def test_nothing_is_chosen_when_nothing_can_be_served() -> None:
    assert chosen([], [], "accuracy") == (None, "this run made no model")
    assert chosen([version(1, deployable=False)], [], "accuracy") == (None, "no version of this run can be served")
