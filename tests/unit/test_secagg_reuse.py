"""Nothing that may serve once serves twice, over all rounds of a circle: nonces of a key, streams of masks."""

from collections import Counter
from collections.abc import Iterable

import pytest
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from flip_update.secagg import masks, parcels
from flip_update.secagg.fixed_point import Words
from flip_update.secagg.members import Stage
from secagg_lab import Lab


def test_no_key_closes_two_things_with_one_nonce_over_all_rounds_of_a_circle(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two neighbours have one key for what they deal each other: their numbers keep the nonces apart."""
    used: Counter[tuple[bytes, bytes]] = Counter()

    class Noted:
        def __init__(self, key: bytes) -> None:
            self.key, self.closes = key, ChaCha20Poly1305(key)

        def encrypt(self, nonce: bytes, data: bytes, associated_data: bytes) -> bytes:
            used[self.key, nonce] += 1
            return self.closes.encrypt(nonce, data, associated_data)

        def decrypt(self, nonce: bytes, data: bytes, associated_data: bytes) -> bytes:
            return self.closes.decrypt(nonce, data, associated_data)

    monkeypatch.setattr(parcels, "ChaCha20Poly1305", Noted)
    lab = Lab(7)
    lab.renews = True
    for _ in range(3):
        lab.until(Stage.DONE)
        lab.follow()
    degree = lab.ring.degree
    assert len(used) == 4 * 7 * (degree + 1), "parcels and escrow of four rounds: three, and what is dealt for the next"
    assert set(used.values()) == {1}


def test_each_stream_of_masks_hides_one_vector_at_its_device_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """And at its neighbour, where it is taken away: over all rounds of a circle, by the seed's part that makes it."""
    streams: Counter[bytes] = Counter()

    def noted(words: Words, plus: Iterable[bytes], minus: Iterable[bytes]) -> None:
        plus, minus = list(plus), list(minus)
        streams.update(seed[:28] for seed in (*plus, *minus))
        add(words, plus, minus)

    add = masks.add
    lab = Lab(7)
    lab.renews = True
    for _ in range(3):
        with monkeypatch.context() as patched:
            patched.setattr(masks, "add", noted)
            lab.until(Stage.DONE)
        lab.check(lab.total(), lab.names)
        lab.follow()
    assert Counter(streams.values()) == {1: 3 * 7, 2: 3 * 7 * lab.ring.degree // 2}
