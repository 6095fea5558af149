"""An update comes back as it was sent but for what its form leaves out, and nothing else comes in."""

import struct
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
import zstandard
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from flip_runtime.errors import Rejected
from flip_update.base import Base
from flip_update.codec import decode, encode
from flip_wire.terms import UpdateForm

INT8 = UpdateForm(codec="int8")
INT4 = UpdateForm(codec="int4")
TENTH = UpdateForm(codec="topk", share=0.1)
FORMS = [INT8, INT4, TENTH]
Model = dict[str, NDArray[Any]]

each_form = pytest.mark.parametrize("form", FORMS, ids=lambda form: form.codec)


def a_model(seed: int = 0) -> Model:
    """Of every kind of array that Flower's apps send, an empty one and a scalar among them."""
    random = np.random.default_rng(seed)
    return {
        "conv.weight": random.normal(size=(16, 3, 3, 3)).astype(np.float32),
        "norm.steps": np.array(7, np.int64),
        "empty": np.zeros((0, 4), np.float32),
        "half": random.normal(size=33).astype(np.float16),
        "double": random.normal(size=(3, 5)),
        "flags": np.array([True, False]),
        "temperature": np.array(2.5, np.float32),
    }


def trained(model: Mapping[str, NDArray[Any]], seed: int = 1, step: float = 0.01) -> Model:
    random = np.random.default_rng(seed)
    return {
        name: (array + step * random.laplace(size=array.shape)).astype(array.dtype)
        if array.dtype.kind == "f"
        else np.logical_not(array)
        if array.dtype.kind == "b"
        else array + 1
        for name, array in model.items()
    }


@each_form
def test_what_comes_back_has_the_names_order_types_and_shapes_of_the_base(form: UpdateForm) -> None:
    model = a_model()
    back = decode(encode(trained(model), Base(model), None, form).content, Base(model))
    assert [(name, a.dtype, a.shape) for name, a in back.items()] == [(n, a.dtype, a.shape) for n, a in model.items()]


@each_form
def test_arrays_that_are_not_of_floating_point_come_back_exactly(form: UpdateForm) -> None:
    model = a_model()
    back = decode(encode(trained(model), Base(model), None, form).content, Base(model))
    assert back["norm.steps"] == 8
    assert back["flags"].tolist() == [False, True]


@pytest.mark.parametrize(("form", "levels"), [(INT8, 127), (INT4, 7)])
def test_an_entry_is_off_by_at_most_half_a_step_of_its_block(form: UpdateForm, levels: int) -> None:
    model = {"w": np.zeros(1000, np.float32)}
    update = {"w": np.random.default_rng(0).normal(size=1000).astype(np.float32)}
    back = decode(encode(update, Base(model), None, form).content, Base(model))
    step = np.abs(update["w"]).max() / levels * 1.01
    assert np.abs(back["w"] - update["w"]).max() <= step / 2


def test_the_largest_entries_alone_are_kept_and_of_equals_the_first() -> None:
    model = {"w": np.zeros(20, np.float32)}
    update = {"w": np.array([0.5, -3, 1, 1, 1, *[0.25] * 15], np.float32)}
    encoded = encode(update, Base(model), None, UpdateForm(codec="topk", share=0.15))
    back = decode(encoded.content, Base(model))["w"]
    assert np.flatnonzero(back).tolist() == [1, 2, 3]
    np.testing.assert_allclose(back[[1, 2, 3]], [-3, 1, 1], rtol=0.02)
    assert encoded.residual[[0, 4, 5]].tolist() == [0.5, 1, 0.25]


@each_form
def test_what_is_left_out_is_the_residual_and_joins_the_next_update(form: UpdateForm) -> None:
    model = {"w": np.zeros((40, 30), np.float32)}
    base, step = Base(model), trained(model, step=1.0)
    sent = np.zeros((40, 30), np.float32)
    residual = None
    for _ in range(60):
        encoded = encode(step, base, residual, form)
        sent += decode(encoded.content, base)["w"]
        residual = encoded.residual
    assert residual is not None
    np.testing.assert_allclose(sent + residual.reshape(40, 30), 60 * step["w"], rtol=1e-3, atol=1e-3)
    assert np.abs(residual).max() < 30 * np.abs(step["w"]).max(), "it does not grow with the rounds"


@each_form
def test_the_same_input_gives_the_same_bytes(form: UpdateForm) -> None:
    model = a_model()
    update = trained(model)
    assert encode(update, Base(model), None, form).content == encode(update, Base(model), None, form).content


@pytest.mark.parametrize(("form", "share"), [(INT8, 0.26), (INT4, 0.14), (TENTH, 0.06)])
def test_a_form_takes_at_most_its_share_of_the_floats_bytes(form: UpdateForm, share: float) -> None:
    random = np.random.default_rng(0)
    model = {f"{n}": np.zeros((50, 40), np.float32) for n in range(5)}
    update = {name: random.uniform(-1, 1, (50, 40)).astype(np.float32) for name in model}  # nothing left to compress
    assert len(encode(update, Base(model), None, form).content) <= share * 4 * 10_000


@each_form
def test_a_model_without_entries_of_floating_point_travels_too(form: UpdateForm) -> None:
    model = {"count": np.array([3], np.int32)}
    assert decode(encode({"count": np.array([4], np.int32)}, Base(model), None, form).content, Base(model)) == {
        "count": np.array([4])
    }


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"w": np.zeros((2, 3), np.float32)}, "'w' is float32 of (2, 3), not float32 of (3, 2)"),
        ({"w": np.zeros((3, 2))}, "'w' is float64 of (3, 2), not float32"),
        ({"new": np.zeros(1, np.float32)}, "'new' is not among those of the instruction"),
        ({"w": np.full((3, 2), np.nan, np.float32)}, "'w' has entries that are not finite"),
        ({"w": np.full((3, 2), np.inf, np.float32)}, "'w' has entries that are not finite"),
        ({"w": np.full((3, 2), 3e38, np.float32)}, "too large"),
    ],
)
@each_form
def test_an_update_that_cannot_be_packed_is_refused_with_the_arrays_name(
    form: UpdateForm, change: Model, reason: str
) -> None:
    model = {"w": np.zeros((3, 2), np.float32)}
    with pytest.raises(Rejected) as refused:
        encode(model | change, Base(model), None, form)
    assert reason in str(refused.value)


def test_an_update_that_lacks_an_array_is_refused_with_its_name() -> None:
    with pytest.raises(Rejected, match="array 'b' is missing"):
        encode({"a": np.zeros(1)}, Base({"a": np.zeros(1), "b": np.zeros(1)}), None, INT8)


def test_a_base_that_is_not_of_numbers_is_refused_with_the_arrays_name() -> None:
    with pytest.raises(Rejected, match="array 'names' is of <U3"):
        Base({"names": np.array(["abc"])})


# ---- what others send -----------------------------------------------------------------------------------------------


@each_form
def test_an_update_for_other_values_or_another_layout_is_refused(form: UpdateForm) -> None:
    model = a_model()
    content = encode(trained(model), Base(model), None, form).content
    renamed = {f"{name}.": array for name, array in model.items()}
    for other in (a_model(seed=9), renamed, {"w": np.zeros(3, np.float32)}):
        with pytest.raises(Rejected, match="other arrays"):
            decode(content, Base(other))


@each_form
def test_an_update_that_is_cut_off_or_has_more_behind_it_is_refused(form: UpdateForm) -> None:
    model = a_model()
    content = encode(trained(model), Base(model), None, form).content
    for wrong in (b"", content[:4], content[:8], content[:-1], content + b"\0", content + content):
        with pytest.raises(Rejected):
            decode(wrong, Base(model))


def test_a_form_that_is_not_known_is_refused() -> None:
    base = Base({"w": np.zeros(3, np.float32)})
    with pytest.raises(Rejected, match="form 77"):
        decode(struct.pack("<BI", 77, base.fingerprint), base)


@pytest.mark.parametrize("scale", [0x7F80, 0x7FC0, 0xFF80, 0xBF80, 0x8000], ids=["inf", "nan", "-inf", "-1", "-0"])
def test_scales_that_are_no_finite_positive_numbers_are_refused(scale: int) -> None:
    base = Base({"w": np.zeros(3, np.float32)})
    with pytest.raises(Rejected, match="scales"):
        decode(struct.pack("<BIH3b", 1, base.fingerprint, scale, 1, 1, 1), base)


def test_a_sum_that_is_not_finite_is_refused_with_the_arrays_name() -> None:
    base = Base({"half": np.full(3, 6e4, np.float16)})
    with pytest.raises(Rejected, match="'half' has entries that are not finite"):
        decode(struct.pack("<BIH3b", 1, base.fingerprint, 0x4700, 1, 1, 1), base)


def test_a_small_frame_that_promises_or_holds_a_huge_body_is_refused_before_it_is_unpacked() -> None:
    base = Base({"w": np.zeros(3, np.float32)})
    head = struct.pack("<BI", 0x81, base.fingerprint)
    told = zstandard.ZstdCompressor(level=19).compress(bytes(2**30))
    untold = zstandard.ZstdCompressor(write_content_size=False).compress(bytes(5))
    for frame in (told, untold, b"no frame"):
        with pytest.raises(Rejected):
            decode(head + frame, base)


def test_more_kept_entries_than_the_model_has_are_refused() -> None:
    base = Base({"w": np.zeros(3, np.float32)})
    for count in (4, 2**32 - 1):
        with pytest.raises(Rejected, match=f"{count} entries for a model of 3"):
            decode(struct.pack("<BII", 3, base.fingerprint, count), base)


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    form=st.sampled_from(FORMS),
    flips=st.lists(st.tuples(st.integers(0, 10_000), st.integers(1, 255)), min_size=1, max_size=6),
    cut=st.one_of(st.none(), st.integers(0, 200)),
)
def test_damaged_bytes_are_refused_or_give_finite_arrays_of_the_base(
    form: UpdateForm, flips: list[tuple[int, int]], cut: int | None
) -> None:
    model = a_model()
    content = bytearray(encode(trained(model), Base(model), None, form).content)
    for place, flip in flips:
        content[place % len(content)] ^= flip
    _refused_or_sound(bytes(content[: len(content) if cut is None else cut]), model)


@settings(max_examples=400, deadline=None)
@given(
    number=st.sampled_from([1, 2, 3, 0x81, 0x82, 0x83]),
    count=st.integers(0, 12),
    body=st.one_of(st.binary(max_size=40), st.integers(0, 40).flatmap(lambda size: st.binary(min_size=size))),
)
def test_any_bytes_under_a_right_head_are_refused_or_give_finite_arrays(number: int, count: int, body: bytes) -> None:
    model = {"w": np.ones((2, 5), np.float32), "n": np.array([True])}
    head = struct.pack("<BI", number, Base(model).fingerprint) + (struct.pack("<I", count) if number & 3 == 3 else b"")
    packed = zstandard.ZstdCompressor().compress(body) if number & 0x80 else body
    _refused_or_sound(head + packed, model)


@settings(max_examples=300, deadline=None)
@given(data=st.data(), form=st.sampled_from([*FORMS, UpdateForm(codec="topk", share=1.0)]))
def test_any_finite_update_of_any_shape_comes_back(data: st.DataObject, form: UpdateForm) -> None:
    shapes = data.draw(st.lists(st.lists(st.integers(0, 9), max_size=3).map(tuple), max_size=4))
    kinds = data.draw(st.lists(st.sampled_from(["f2", "f4", "f8", "i4", "?", ">f4"]), min_size=4, max_size=4))
    random = np.random.default_rng(data.draw(st.integers(0, 2**32)))
    model: Model = {f"a{n}": np.ones(shape, kind) for n, (shape, kind) in enumerate(zip(shapes, kinds, strict=False))}
    update: Model = {name: np.asarray(a * random.choice([0, 1, 1.5]), a.dtype) for name, a in model.items()}
    back = decode(encode(update, Base(model), None, form).content, Base(model))
    for name, array in back.items():
        assert (array.shape, array.dtype) == (model[name].shape, model[name].dtype)
        if array.dtype.kind != "f":
            np.testing.assert_array_equal(array, update[name])


def _refused_or_sound(content: bytes, model: Model) -> None:
    try:
        back = decode(content, Base(model))
    except Rejected:
        return
    assert [(n, a.dtype, a.shape) for n, a in back.items()] == [(n, a.dtype, a.shape) for n, a in model.items()]
    assert all(np.isfinite(array).all() for array in back.values())
