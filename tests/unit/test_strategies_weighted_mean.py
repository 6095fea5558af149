"""The streamed weighted mean gives Flower's weights bit for bit, from the bytes of its arrays, and refuses what is no
update."""

import io
import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from flwr.app import Array, ArrayRecord, MetricRecord, RecordDict
from flwr.serverapp.strategy import strategy_utils
from numpy.typing import NDArray

from flip_hub.federation.aggregator.strategies.refusals import (
    metric_keys,
    refusal,
    refused_metrics,
    refused_samples,
    usual_metrics,
)
from flip_hub.federation.aggregator.strategies.tensors import read, written
from flip_hub.federation.aggregator.strategies.weighted_mean import aggregate_arrayrecords
from flip_runtime.errors import Rejected

Named = dict[str, NDArray[Any]]

KINDS = ["float32", "float64", "float16", "int64", "int8", "uint8", "bool", "complex64", ">f4"]


def update(seed: int, kind: str = "float32") -> Named:
    """A large tensor of several pieces, one in Fortran's order, one without dimensions, one without entries."""
    draw = np.random.default_rng(seed)
    shapes = {"large": (300_001,), "matrix": (17, 5), "turned": (9, 4), "scalar": (), "empty": (0, 3)}
    arrays = {name: np.asarray(draw.normal(0, 30, shape)).astype(kind) for name, shape in shapes.items()}
    return arrays | {"turned": np.asfortranarray(arrays["turned"])}


def record(arrays: Mapping[str, NDArray[Any]], samples: float) -> RecordDict:
    made = ArrayRecord({name: Array(array) for name, array in arrays.items()})
    return RecordDict({"arrays": made, "metrics": MetricRecord({"num-examples": samples})})


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("devices", [1, 2, 7])
def test_the_mean_is_flowers_to_the_last_bit_and_byte(kind: str, devices: int) -> None:
    samples = np.random.default_rng(devices).integers(1, 5000, devices)
    records = [record(update(seed, kind), int(samples[seed])) for seed in range(devices)]
    flowers = strategy_utils.aggregate_arrayrecords(records, "num-examples")
    ours = aggregate_arrayrecords(records, "num-examples")
    assert list(ours) == list(flowers)
    for name, array in flowers.items():
        assert ours[name] == array, f"{name} differs"


def test_updates_whose_tensors_lie_in_different_orders_have_the_same_mean() -> None:
    first, second = update(1), update(2)
    turned = {name: np.asfortranarray(array) if array.ndim == 2 else array for name, array in second.items()}
    of_flower = strategy_utils.aggregate_arrayrecords([record(first, 3), record(turned, 4)], "num-examples")
    ours = aggregate_arrayrecords([record(first, 3), record(turned, 4)], "num-examples")
    assert {name: array.numpy().tobytes() for name, array in ours.items()} == {
        name: array.numpy().tobytes() for name, array in of_flower.items()
    }


def test_arrays_are_read_as_views_and_written_as_flower_writes_them() -> None:
    arrays = update(3)
    flowers = {name: Array(array) for name, array in arrays.items()}
    views = read(flowers)
    assert all(np.array_equal(views[name], array) for name, array in arrays.items())
    assert not views["large"].flags.owndata
    assert not views["large"].flags.writeable
    given = dict(arrays)
    assert dict(written(given)) == flowers
    assert given == {}, "each is given away before the next is written"
    strided = np.arange(40.0).reshape(4, 10)[:, ::2]
    assert written({"x": strided})["x"] == Array(strided)


def npy(array: NDArray[Any]) -> bytes:
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


FLOATS = npy(np.ones((2, 3), "f4"))


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "is no array in NumPy's format"),
        (b"\x93NUMPY\x01\x00", "is no array in NumPy's format"),
        (b"\x93NUMPY\x01\x00\xff\xff{", "is no array in NumPy's format"),
        (b"\x93NUMPY\x03\x00" + FLOATS[8:], "is no array in NumPy's format"),
        (FLOATS.replace(b"(2, 3)", b"(2,-3)"), "is no array in NumPy's format"),
        (FLOATS.replace(b"(2, 3)", b"(2, x)"), "is no array in NumPy's format"),
        (FLOATS.replace(b"(2, 3)", b"(9**9)"), "is no array in NumPy's format"),
        (FLOATS.replace(b"(2, 3)", b"(2, 9)"), "has 24 bytes, not those of its shape 2x9 in float32"),
        (FLOATS[:-1], "has 23 bytes, not those of its shape 2x3 in float32"),
        (FLOATS + b"more", "has 28 bytes, not those of its shape 2x3 in float32"),
        (npy(np.array([None, 1], dtype=object)), "holds object, not numbers"),
        (npy(np.array(["one"])), "holds <U3, not numbers"),
    ],
)
def test_bytes_that_are_no_array_are_refused_with_the_tensors_name(content: bytes, told: str) -> None:
    with pytest.raises(Rejected, match="weight") as error:
        read({"conv.weight": Array("float32", (2, 3), "numpy.ndarray", content)})
    assert told in str(error.value)


def test_an_array_of_another_serialization_is_refused() -> None:
    with pytest.raises(Rejected, match="x is no NumPy array but 'pickle'"):
        read({"x": Array("float32", (1,), "pickle", b"cos\nsystem\n")})


LIKE: Named = {"w": np.ones((2, 3), "f4"), "b": np.zeros(3, "f4"), "steps": np.zeros((), "i8")}


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({}, ""),
        ({"steps": np.float64(3.5)}, ""),  # what the mean of whole numbers was
        ({"w": np.ones((3, 2), "f4")}, "w has the shape 3x2, not 2x3"),
        ({"b": np.zeros((), "f4")}, "b has the shape scalar, not 3"),
        ({"b": np.zeros(3, "f8")}, "b is float64, not float32"),
        ({"steps": np.zeros((), "c8")}, "steps is complex64, not int64"),
        ({"b": np.array([1, math.nan, 2], "f4")}, "b holds NaN (1 of 3 values are not finite)"),
        ({"w": np.full((2, 3), -math.inf, "f4")}, "w holds an infinity (6 of 6 values are not finite)"),
        ({"b": np.full(3, 3e38, "f4")}, "b holds 3e+38, too large to be averaged"),  # its squares overflow
        ({"b": np.full(3, -9e15, "f4")}, ""),
        ({"b": np.full(3, 9e15, ">f4")}, ""),
        ({"b": np.full(3, 1e200, "f8")}, "b is float64, not float32"),
        ({"evil": np.zeros(1)}, "it has the 'evil', which nobody asked for"),
    ],
)
def test_a_refusal_names_the_tensor_and_what_was_wanted(changes: Named, told: str) -> None:
    arrays = {name: np.asarray(array) for name, array in (LIKE | changes).items()}
    assert refusal(arrays, LIKE) == told


def test_missing_tensors_are_named() -> None:
    assert refusal({"w": LIKE["w"]}, LIKE) == "it lacks the 'b' and 1 more"
    assert refusal({"v": LIKE["w"], "b": LIKE["b"], "steps": LIKE["steps"]}, LIKE) == (
        "it lacks the 'w' and it has the 'v', which nobody asked for"
    )


@pytest.mark.parametrize("kind", ["float16", "float32", "float64", "complex64", ">f8"])
@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("at", [0, 131_071, 131_072, 299_999])
def test_one_value_that_is_not_finite_is_found_wherever_it_is(kind: str, bad: float, at: int) -> None:
    array = np.full(300_000, 60_000.0).astype(kind)
    assert refusal({"x": array}, {"x": array}) == ""
    array[at] = bad
    assert "(1 of 300000 values are not finite)" in refusal({"x": array}, {"x": array})


@pytest.mark.parametrize(
    ("samples", "told"),
    [
        (1, ""),
        (0.5, ""),
        (100_000_000, ""),
        (0, "it stands on 0 samples"),
        (-3, "it stands on -3 samples"),
        (math.nan, "it stands on nan samples"),
        (math.inf, "it claims inf samples, more than 1e+08"),
        (1_000_000_000, "it claims 1e+09 samples, more than 1e+08"),
        (None, "it does not say on how many samples it stands"),
        (True, "its samples are no number"),
        ([5], "its samples are no number"),
    ],
)
def test_a_weight_that_cannot_be_meant_is_refused(samples: object, told: str) -> None:
    assert refused_samples(samples) == told


def test_metrics_that_differ_from_those_of_most_are_refused_by_name() -> None:
    usual = metric_keys({"loss": 0.5, "num-examples": 7})
    lists = metric_keys({"loss": [0.5], "num-examples": 7})
    less = metric_keys({"num-examples": 7})
    assert usual_metrics([less, usual, usual, lists]) == usual
    assert refused_metrics(usual, usual) == ""
    assert refused_metrics(less, usual) == "it lacks the metric 'loss'"
    assert refused_metrics(lists, usual) == "its metric 'loss' has another length than that of others"
    odd = metric_keys({"loss": 1.0, "num-examples": 7, "zest": 2.0, "acid": 1.0})
    assert refused_metrics(odd, usual) == "it has the metric 'acid' and 1 more, which nobody asked for"
