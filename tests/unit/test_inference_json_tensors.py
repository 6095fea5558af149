"""Lists of JSON become arrays of exactly the declared type and shape, or a refusal that names what was expected."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw

from flip_agent.inference.problems import Refusal
from flip_agent.inference.protocol.json_tensors import declared_array, row_array
from flip_agent.inference.protocol.oip import decode_request, input_arrays
from flip_agent.inference.protocol.short_form import decode_short, short_arrays
from flip_wire.models import TensorSpec


def spec(dtype: str = "float32", *shape: int) -> TensorSpec:
    return TensorSpec(name="x", dtype=dtype, shape=list(shape or (-1, 3)))


@pytest.mark.parametrize("data", [b"[1,2,3,4,5,6]", b"[[1,2,3],[4,5,6.0]]", b" [ [1, 2,3]\n,[4,5,6]]"])
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_flat_and_nested_lists_give_the_same_array(data: bytes, dtype: str) -> None:
    values = declared_array(spec(dtype), [2, 3], Raw(data))
    assert values.dtype == dtype
    assert values.tolist() == [[1, 2, 3], [4, 5, 6]]


@pytest.mark.parametrize("dtype", ["int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "bool"])
def test_whole_numbers_and_truth_values(dtype: str) -> None:
    data = b"[true, false, true]" if dtype == "bool" else b"[1, 0, 1]"
    values = declared_array(spec(dtype), [1, 3], Raw(data))
    assert values.dtype == dtype
    assert values.tolist() == [[1, 0, 1]]


@pytest.mark.parametrize(
    ("dtype", "shape", "data", "says"),
    [
        ("float32", [2, 3], b"[1,2,3]", "shape [2, 3] has 6 values, got 3"),
        ("float32", [1, 4], b"[1,2,3,4]", "got shape [1, 4]"),
        ("float32", [3], b"[1,2,3]", "got shape [3]"),
        ("float32", [0, 3], b"[]", "got shape [0, 3]"),
        ("float32", [-1, 3], b"[]", "got shape [-1, 3]"),
        ("float32", [2**40, 3], b"[1,2,3]", "got 3"),
        ("float32", [10**4299, 3], b"[1,2,3]", "2 dimensions, too large to show"),
        ("float32", [1] * 10**5, b"[1,2,3]", "100000 dimensions"),
        ("float32", [1, 3], b"[[[1,2,3]]]", "got 3 levels of lists"),
        ("float32", [1, 3], b"3", "got 0 levels of lists"),
        ("float32", [1, 3], b"[[1,2,3],[4,5,6]]", "got lists of shape (2, 3)"),
        ("float32", [2, 3], b"[[1,2,3],[4,5]]", "lists of different lengths"),
        ("float32", [1, 3], b"[1,2,null]", "input 'x': Expected `float`, got `null` - at `$[2]`"),
        ("float32", [1, 3], b'[1,2,"3"]', "Expected `float`, got `str`"),
        ("float32", [1, 3], b"[1,2,[3]]", "Expected `float`, got `array`"),
        ("float32", [1, 3], b"[1,2,1e39]", "a number that this type cannot hold"),
        ("float32", [1, 3], b"[[1,2,1e39]]", "a number that this type cannot hold"),
        ("float16", [1, 3], b"[1,2,70000]", "a number that this type cannot hold"),
        ("float64", [1, 3], b"[1,2,1e999]", "out of range"),
        ("float32", [1, 3], b"[1,2,NaN]", "no valid JSON"),
        ("float32", [1, 3], b"[1,2,Infinity]", "no valid JSON"),
        ("float32", [1, 3], b"[1,2,-Infinity]", "no valid JSON"),
        ("int8", [1, 3], b"[1,2,128]", "a number that this type cannot hold"),
        ("int8", [1, 3], b"[[1,2,128]]", "a number that this type cannot hold"),
        ("uint64", [1, 3], b"[1,2,-1]", "a number that this type cannot hold"),
        ("int64", [1, 3], b"[1,2,9223372036854775808]", "a number that this type cannot hold"),
        ("int64", [1, 3], b"[1,2,3.5]", "Expected `int`, got `float`"),
        ("bool", [1, 3], b"[true,false,1]", "Expected `bool`, got `int`"),
    ],
)
def test_what_does_not_fit_is_refused_by_name(dtype: str, shape: list[int], data: bytes, says: str) -> None:
    with pytest.raises(Refusal) as refused:
        declared_array(spec(dtype), shape, Raw(data))
    assert says in str(refused.value)
    assert "'x'" in str(refused.value)
    assert len(str(refused.value)) < 400


def test_rows_may_be_flat_where_the_model_wants_them_nested() -> None:
    images = spec("float32", -1, 1, 2, 2)
    nested = row_array(images, Raw(b"[[[[1,2],[3,4]]]]"))
    flat = row_array(images, Raw(b"[[1,2,3,4]]"))
    assert np.array_equal(nested, flat)
    assert flat.shape == (1, 1, 2, 2)


@pytest.mark.parametrize("data", [b"[]", b"[[1,2]]", b"[1,2,3]", b"[[]]", b'"x"', b"{}", b"null"])
def test_rows_of_another_length_are_refused(data: bytes) -> None:
    with pytest.raises(Refusal):
        row_array(spec("float32", -1, 1, 2, 2), Raw(data))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=12,
)
INPUT = st.fixed_dictionaries(
    {
        "name": st.just("x") | st.text(max_size=3),
        "datatype": st.just("FP32") | st.text(max_size=3),
        "shape": st.just([1, 3]) | st.lists(st.integers(), max_size=3),
        "data": st.lists(st.floats(width=32, allow_nan=False), max_size=4) | JSON,
    }
)


@given(st.binary(max_size=200) | st.builds(lambda body: repr(body).replace("'", '"').encode(), JSON | INPUT))
def test_no_body_raises_anything_but_a_refusal(body: bytes) -> None:
    wrapped = b'{"inputs": [' + body + b"]}"
    for content in (body, wrapped):
        try:
            [values] = input_arrays(decode_request(content), [spec()])
        except Refusal:
            continue
        assert values.dtype == "float32"
        assert values.shape[1:] == (3,)
    for content in (body, wrapped, b'{"inputs": ' + body + b"}"):
        try:
            [values] = short_arrays(decode_short(content), [spec()])
        except Refusal:
            continue
        assert values.shape[1:] == (3,)


@pytest.mark.parametrize("opening", [b"[", b'{"inputs":', b'{"inputs":[{"data":', b'{"inputs":[{"parameters":'])
def test_deep_nesting_is_refused(opening: bytes) -> None:
    for content in (opening * 10**5, opening + b"[" * 10**5):
        with pytest.raises(Refusal):
            input_arrays(decode_request(content), [spec()])
        with pytest.raises(Refusal):
            short_arrays(decode_short(content), [spec()])
