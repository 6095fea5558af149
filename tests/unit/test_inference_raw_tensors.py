"""Tensors as bytes are what their shape and datatype say, wherever they lie; no number is NaN in any protocol."""

import numpy as np
import pytest

from flip_agent.inference.grpc import oip_pb2 as pb
from flip_agent.inference.grpc.tensors import input_arrays
from flip_agent.inference.problems import Refusal
from flip_agent.inference.protocol.raw_tensors import raw_array, raw_bytes
from flip_agent.inference.tensors import DATATYPES
from flip_wire.models import TensorSpec

NOT_FINITE = [float("nan"), float("inf"), float("-inf")]


def spec(dtype: str) -> TensorSpec:
    return TensorSpec(name="x", dtype=dtype, shape=[-1, 3])


@pytest.mark.parametrize("dtype", DATATYPES)
@pytest.mark.parametrize("offset", range(8))
def test_bytes_are_read_wherever_they_lie(dtype: str, offset: int) -> None:
    values = np.arange(6).reshape(2, 3).astype(dtype)
    body = memoryview(bytes(offset) + values.astype(values.dtype.newbyteorder("<")).tobytes())
    array = raw_array(spec(dtype), [2, 3], body[offset:])
    assert array.dtype == dtype
    assert array.flags.aligned
    assert np.array_equal(array, values)
    assert raw_bytes(array) == body[offset:]


def test_what_lies_right_is_not_copied() -> None:
    content = np.ones((2, 3), "f4").tobytes()
    assert np.shares_memory(raw_array(spec("float32"), [2, 3], content), np.frombuffer(content, "f4"))


@pytest.mark.parametrize("value", NOT_FINITE)
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_no_number_is_nan_or_infinite(dtype: str, value: float) -> None:
    content = np.array([[0, value, 1]], dtype).tobytes()
    with pytest.raises(Refusal, match=r"input 'x' takes FP\d\d \[-1, 3\], got NaN or an infinite number"):
        raw_array(spec(dtype), [1, 3], content)


@pytest.mark.parametrize("value", NOT_FINITE)
def test_nor_is_one_in_the_typed_contents_of_grpc(value: float) -> None:
    tensor = pb.ModelInferRequest.InferInputTensor(name="x", datatype="FP32", shape=[1, 3])
    tensor.contents.fp32_contents.extend([0, value, 1])
    with pytest.raises(Refusal, match="NaN or an infinite number"):
        input_arrays(pb.ModelInferRequest(inputs=[tensor]), [spec("float32")])


def test_a_bool_is_zero_or_one() -> None:
    assert raw_array(spec("bool"), [1, 3], b"\0\1\1").tolist() == [[False, True, True]]
    with pytest.raises(Refusal, match="neither 0 nor 1"):
        raw_array(spec("bool"), [1, 3], b"\0\1\2")
