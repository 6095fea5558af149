"""Masks are streams of random words that cancel, whichever mode of AES makes them."""

import numpy as np
import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from hypothesis import given, settings
from hypothesis import strategies as st

from flip_update.secagg import masks

SEEDS = st.lists(st.binary(min_size=32, max_size=32), max_size=5)


@settings(deadline=None)
@given(plus=SEEDS, minus=SEEDS, size=st.sampled_from([1, 2, 1000, 2**15, 2**15 + 1]))
def test_what_is_added_can_be_taken_away(plus: list[bytes], minus: list[bytes], size: int) -> None:
    words = np.arange(size, dtype=np.uint32)
    masks.add(words, plus, minus)
    masks.add(words, minus, plus)
    assert np.array_equal(words, np.arange(size, dtype=np.uint32))


@settings(deadline=None)
@given(seed=st.binary(min_size=32, max_size=32))
def test_both_modes_make_the_words_of_the_counter(seed: bytes) -> None:
    """The two ends of a mask may have chosen differently."""
    size = 2**17 + 5
    cipher = Cipher(algorithms.AES128(seed[:16]), modes.CTR(seed[16:28] + (2).to_bytes(4))).encryptor()
    expected = cipher.update(bytes(size))
    for mode in (masks.counter_mode, masks.galois_mode):
        made = mode(seed)
        blocks = [2**16, 2**16, 5]
        content = bytearray()
        for length in blocks:
            block = bytearray(length)
            made.update_into(bytes(length), block)
            content += block
        assert content == expected


@pytest.mark.parametrize("mode", [masks.counter_mode, masks.galois_mode])
def test_a_seed_makes_the_same_words_for_ever(mode: masks.Stream, monkeypatch: pytest.MonkeyPatch) -> None:
    """Devices of different versions are in one round."""
    monkeypatch.setattr(masks, "_fastest", lambda: mode)
    words = np.zeros(40_000, np.uint32)
    masks.add(words, [bytes(range(32))], [])
    some = words[[0, 1, 2**15 - 1, 2**15, -1]].tolist()
    assert some == [0xAF032EC4, 0xEFB64F0F, 0x8EA5DB2B, 0xB573972A, 0x2D6B9883]


def test_more_streams_than_are_open_at_a_time_are_all_added() -> None:
    seeds = [number.to_bytes(32) for number in range(600)]
    together, one_by_one = np.zeros(50, np.uint32), np.zeros(50, np.uint32)
    masks.add(together, seeds, [])
    for seed in seeds:
        masks.add(one_by_one, [seed], [])
    assert np.array_equal(together, one_by_one)
