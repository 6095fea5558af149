"""Seeds as streams of words that are added to a vector, and taken from it again (arithmetic modulo 2**32).

The stream of a seed is AES-128 in counter mode. GCM encrypts with that very stream; where a processor has wide vector
instructions for AES, OpenSSL uses them for GCM alone and is twice as fast with it, though the tag is for nothing. So
each process takes the mode that is faster on its machine, and all make the same words.
"""

import sys
import time
from collections.abc import Callable, Iterable, Sequence
from functools import cache
from itertools import islice
from typing import Final

import numpy as np
from cryptography.hazmat.primitives.ciphers import Cipher, CipherContext, algorithms, modes

from flip_update.secagg.fixed_point import WORD, Words

SEED: Final = 32
"""Bytes: a key and a nonce, used for one stream and nothing else; the rest is not used."""
_KEY: Final = 16
_NONCE: Final = 12
_FIRST: Final = (2).to_bytes(4)
"""The count of GCM's first block; it ends after 64 GiB, `parameters.LONGEST` before."""
_AT_ONCE: Final = 2**15
"""Words: what is masked, the stream and its zeros stay in the processor's cache."""
_STREAMS: Final = 256
"""Open at a time."""
_ZEROS: Final = memoryview(bytes(_AT_ONCE * WORD.itemsize))
assert sys.byteorder == "little", "words are made in the order of the wire"

Stream = Callable[[bytes], CipherContext]


def add(words: Words, plus: Iterable[bytes], minus: Iterable[bytes]) -> None:
    """In place, the stream of each seed."""
    seeds = iter([*((seed, np.add) for seed in plus), *((seed, np.subtract) for seed in minus)])
    while some := [(_fastest()(seed), combine) for seed, combine in islice(seeds, _STREAMS)]:
        _combine(words, some)


def _combine(words: Words, streams: Sequence[tuple[CipherContext, Callable[..., Words]]]) -> None:
    mask = np.empty(min(_AT_ONCE, words.size), np.uint32)
    whole = mask.data.cast("B")
    for start in range(0, words.size, _AT_ONCE):
        part = words[start : start + _AT_ONCE]
        zeros, content, next_words = _ZEROS[: part.nbytes], whole[: part.nbytes], mask[: part.size]
        for stream, combine in streams:
            stream.update_into(zeros, content)
            combine(part, next_words, out=part)


def counter_mode(seed: bytes) -> CipherContext:
    return Cipher(algorithms.AES128(seed[:_KEY]), modes.CTR(seed[_KEY : _KEY + _NONCE] + _FIRST)).encryptor()


def galois_mode(seed: bytes) -> CipherContext:
    return Cipher(algorithms.AES128(seed[:_KEY]), modes.GCM(seed[_KEY : _KEY + _NONCE])).encryptor()


@cache
def _fastest() -> Stream:
    return min((galois_mode, counter_mode), key=_seconds)


def _seconds(stream: Stream) -> float:
    """For a block, at best: less than a millisecond is spent on this."""
    made, block = stream(bytes(SEED)), bytearray(len(_ZEROS))
    spent: list[float] = []
    for _ in range(5):
        began = time.perf_counter()
        made.update_into(_ZEROS, block)
        spent.append(time.perf_counter() - began)
    return min(spent)
