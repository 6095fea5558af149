"""The quick way to read a request gives what the ordinary one gives, or leaves the request to it."""

from collections.abc import Callable
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flip_agent.inference.problems import Refusal
from flip_agent.inference.protocol.flat_request import FlatRequest, read_flat
from flip_agent.inference.protocol.oip import decode_request, input_arrays
from flip_agent.inference.tensors import DATATYPES, Array
from flip_wire.models import TensorSpec

NUMBERS = st.integers(-(2**70), 2**70) | st.floats() | st.integers(-130, 300) | st.booleans() | st.none() | st.text()
VALUES = st.lists(NUMBERS, max_size=4) | st.lists(st.lists(NUMBERS, max_size=3), max_size=3)


def body(data: object, *, datatype: str = "FP32", shape: object = (2,), **more: Any) -> bytes:
    return msgspec.json.encode(
        {
            "inputs": [{"name": "x", "datatype": datatype, "shape": shape, "data": data, **more.pop("tensor", {})}],
            **more,
        }
    )


def quick(content: bytes) -> FlatRequest:
    read = read_flat(content)
    assert read is not None
    return read


def ordinary(content: bytes, spec: TensorSpec) -> Array | str:
    return outcome(lambda: input_arrays(decode_request(content), [spec])[0])


def outcome(make: Callable[[], Array]) -> Array | str:
    """The tensor, or why it is refused."""
    try:
        return make()
    except Refusal as refusal:
        return str(refusal)


def test_flat_lists_of_numbers_are_read_quickly_with_all_that_is_beside_them() -> None:
    asked = quick(body([1, 2.5], id="a", outputs=[{"name": "y"}], parameters={"timeout": 5}))
    assert (asked.request.id, asked.request.outputs[0].name, asked.request.parameters) == ("a", "y", {"timeout": 5})
    (values,) = asked.arrays([TensorSpec(name="x", dtype="float32", shape=[-1])])
    assert values.dtype == np.float32
    assert values.tolist() == [1.0, 2.5]


@pytest.mark.parametrize(
    "content",
    [
        body([[1.0], [2.0]]),
        body([1.0, [2.0]]),
        body([[1.0, 2.0]]),
        body([], shape=[0], tensor={"parameters": {"binary_data_size": 8}}),
        body([True, False], datatype="BOOL"),
        body(["a", "b"], datatype="BYTES"),
        body([1, 2], shape=[1.5]),
        body([1, 2], id=7),
        body([1, 2], id='"data":[3,4]'),
        body([1, 2], more={"data": [3, 4]}),
        body([1, 2], tensor={"parameters": {"data": [3, 4]}}),
        body([1, 2]).replace(b'"data"', b'"d\\u0061ta"'),
        b'{"more":{"data":[3]},"inputs":[{"name":"x","datatype":"FP32","shape":[1],"d\\u0061ta":[0]}]}',
        b'{"more":{"data":[3]},"inputs":[{"name":"x","datatype":"FP32","shape":[1],"data":"[0]"}]}',
        body([1, 2], tensor={"parameters": {"binary_data_size": 8}}),
        body(["]", 2]),
        b'{"inputs":[' + b'{"name":"x","datatype":"FP32","shape":[1],"data":[1]},' * 1000 + b"]}",
        body([-(2**63) - 1, 2]),
        body([1, 2**64], datatype="UINT64"),
        body([1, 2]).replace(b"]", b""),
        b'{"inputs": 1}',
        b"{",
        b"",
        b"\xff",
        body([0.5] * 2**18),
    ],
)
def test_anything_else_is_left_to_the_ordinary_way(content: bytes) -> None:
    assert read_flat(content) is None


@given(data=VALUES, datatype=st.sampled_from(sorted(each.name for each in DATATYPES.values())), rows=st.integers(-1, 4))
def test_both_ways_give_the_same_tensor_or_the_same_refusal(data: object, datatype: str, rows: int) -> None:
    dtype = next(each.numpy for each in DATATYPES.values() if each.name == datatype)
    spec = TensorSpec(name="x", dtype=dtype, shape=[-1])
    content = body(data, datatype=datatype, shape=[rows])
    if (read := read_flat(content)) is None:
        return
    wanted, found = ordinary(content, spec), outcome(lambda: read.arrays([spec])[0])
    if isinstance(wanted, str):
        assert found == wanted
    else:
        assert isinstance(found, np.ndarray)
        assert (found.dtype, found.shape) == (wanted.dtype, wanted.shape)
        assert np.array_equal(found, wanted)
