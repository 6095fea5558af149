"""A file comes back from its delta byte for byte, in blocks; what is no delta of it is refused."""

import io
import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flip_wire.file_delta import BLOCK, WIDTHS, applied, block, head


def delta_of(base: bytes, new: bytes, width: int = 4) -> bytes:
    starts = range(0, len(new), BLOCK)
    blocks = [block(base[start : start + BLOCK], new[start : start + BLOCK], width) for start in starts]
    return head(len(new), width) + b"".join(blocks)


def made_of(base: bytes, delta: bytes, size: int) -> bytes:
    return b"".join(applied(io.BytesIO(base), io.BytesIO(delta), size))


@settings(max_examples=200, deadline=None)
@given(base=st.binary(max_size=300), new=st.binary(max_size=300), width=st.sampled_from(WIDTHS))
def test_any_file_comes_back_from_any_other_one(base: bytes, new: bytes, width: int) -> None:
    assert made_of(base, delta_of(base, new, width), len(new)) == new


@pytest.mark.parametrize("size", [BLOCK - 1, BLOCK, BLOCK + 1, 3 * BLOCK + 5])
@pytest.mark.parametrize("base_size", [0, BLOCK, 4 * BLOCK])
def test_files_of_several_blocks_come_back_whichever_is_longer(size: int, base_size: int) -> None:
    random = np.random.default_rng(0)
    base, new = random.bytes(base_size), random.bytes(size)
    assert made_of(base, delta_of(base, new), size) == new


def test_weights_that_have_moved_by_a_thousandth_take_six_tenths() -> None:
    random = np.random.default_rng(0)
    before = random.normal(size=1_000_000).astype(np.float32)
    after = before + (0.001 * random.normal(size=before.shape)).astype(np.float32) * np.abs(before)
    assert len(delta_of(before.tobytes(), after.tobytes())) <= 0.6 * after.nbytes


@settings(max_examples=300, deadline=None)
@given(flips=st.lists(st.tuples(st.integers(0, 5000), st.integers(1, 255)), min_size=1, max_size=4))
def test_a_damaged_delta_is_refused_or_gives_a_file_of_that_size(flips: list[tuple[int, int]]) -> None:
    base, new = b"abcd" * 500, b"abce" * 480
    delta = bytearray(delta_of(base, new))
    for place, flip in flips:
        delta[place % len(delta)] ^= flip
    try:
        made = made_of(base, bytes(delta), len(new))
    except ValueError:
        return
    assert len(made) == len(new)


def test_what_is_cut_off_longer_of_another_size_or_promises_too_much_is_refused() -> None:
    base, new = b"a" * 1000, b"b" * 1000
    good = delta_of(base, new)
    large = head(1000, 4) + struct.pack("<I", 2**31) + b"x"
    for wrong in (b"", good[:10], good[:-1], good + b"\0", b"x" + good[1:], large, head(1000, 3) + good[17:]):
        with pytest.raises(ValueError, match="delta"):
            made_of(base, wrong, 1000)
    with pytest.raises(ValueError, match="another file"):
        made_of(base, good, 999)
    with pytest.raises(ValueError, match="another length"):
        made_of(base, head(1000, 4) + block(b"", b"b" * BLOCK, 4), 1000)
