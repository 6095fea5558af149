"""Each lie changes what a device answers, and nothing else."""

from typing import get_args

import numpy as np
import pytest
from flwr.app import Array, ArrayRecord, ConfigRecord, MetricRecord, RecordDict
from numpy.typing import NDArray

from flip_lab.faults import LieKind, Lies
from flip_lab.lies import lie

SENT = np.array([1.0, 2.0, 3.0], np.float32)
TRAINED = np.array([1.5, 2.5, 3.5], np.float32)


def answered(told: Lies, number: int = 1) -> RecordDict:
    config = ConfigRecord({"server-round": number})
    instruction = RecordDict({"arrays": ArrayRecord({"w": Array(SENT)}), "config": config})
    content = RecordDict({"arrays": ArrayRecord({"w": Array(TRAINED)}), "metrics": MetricRecord({"num-examples": 5})})
    lie(told, instruction, content)
    return content


def values_of(reply: RecordDict, name: str = "w") -> NDArray[np.float32]:
    return reply.array_records["arrays"][name].numpy()


def test_numbers_are_none() -> None:
    assert np.isnan(values_of(answered(Lies(kind="nan")))).all()
    assert np.isinf(values_of(answered(Lies(kind="infinite")))).all()


def test_shapes_types_and_names_are_others() -> None:
    assert values_of(answered(Lies(kind="shape"))).shape == (4,)
    assert values_of(answered(Lies(kind="dtype"))).dtype == np.float64
    assert values_of(answered(Lies(kind="keys")), "another") == pytest.approx(TRAINED)


def test_there_is_another_metric() -> None:
    assert set(answered(Lies(kind="metrics")).metric_records["metrics"]) == {"num-examples", "another"}


def test_the_change_is_larger_or_goes_the_other_way() -> None:
    assert values_of(answered(Lies(kind="scaled", factor=10.0))) == pytest.approx(SENT + 5.0)
    assert values_of(answered(Lies(kind="flipped"))) == pytest.approx(SENT - 0.5)


@pytest.mark.parametrize(("kind", "samples"), [("no-samples", 0), ("many-samples", 10**9)])
def test_samples_are_made_up(kind: LieKind, samples: int) -> None:
    reply = answered(Lies(kind=kind))
    assert reply.metric_records["metrics"]["num-examples"] == samples
    assert values_of(reply) == pytest.approx(TRAINED)


@pytest.mark.parametrize("kind", get_args(LieKind))
def test_a_device_is_honest_until_its_first_round_of_lies(kind: LieKind) -> None:
    honest = answered(Lies(kind=kind, from_round=3), number=2)
    assert values_of(honest) == pytest.approx(TRAINED)
    assert honest.metric_records["metrics"]["num-examples"] == 5
    lying = answered(Lies(kind=kind, from_round=3), number=3)
    assert lying != honest
