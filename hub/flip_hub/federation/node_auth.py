"""Flower's node authentication, checked at the door: a P-384 key signs the time, and the key is the device.

The headers are those of Flower's SuperNode (`flwr.supernode.node_auth_http_interceptor`): base64 of the key's PEM, an
ISO 8601 time with its zone, base64 of the ECDSA / SHA-256 signature over that text. That the node named in the request
belongs to the key is checked by the SuperLink's process (`fast_lane`), and by the gateway where it answers itself.
"""

import binascii
from base64 import b64decode
from collections import OrderedDict
from collections.abc import Callable, Mapping
from datetime import datetime
from hashlib import sha256
from typing import TypeVar

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, EllipticCurvePublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from msgspec import Struct

from flip_hub.devices.keys import fingerprint_of
from flip_hub.problem import Unauthorized

T = TypeVar("T")

KEY_HEADER = b"flwr-public-key"
TIME_HEADER = b"flwr-timestamp"
SIGNATURE_HEADER = b"flwr-signature"

OLDEST = 305.0
"""Seconds that a signature is good for (flwr: TIMESTAMP_TOLERANCE + SYSTEM_TIME_TOLERANCE)."""
FROM_THE_FUTURE = 5.0
"""Seconds that a device's clock may be ahead (flwr: SYSTEM_TIME_TOLERANCE)."""
_REMEMBERED = 8_192
"""Keys (1.5 KiB each), and signatures (0.3 KiB); those used least recently make room."""
_LONGEST_KEY = 1024
"""Bytes of the header; a P-384 key takes 288."""


class Caller(Struct, frozen=True, kw_only=True):
    fingerprint: str
    """As in `flip_hub.devices.keys`."""
    public_key: bytes
    """PEM."""
    signed_at: float


class _Key(Struct, frozen=True, kw_only=True):
    pem: bytes
    key: EllipticCurvePublicKey
    fingerprint: str


class NodeAuth:
    """Checking a signature takes a millisecond, and a device sends one for several calls: so each is checked once."""

    def __init__(self) -> None:
        self._keys: OrderedDict[bytes, _Key] = OrderedDict()
        self._checked: OrderedDict[bytes, Caller] = OrderedDict()

    def authenticate(self, headers: Mapping[bytes, bytes], now: float) -> Caller:
        """Raises `Unauthorized` that says what is wrong."""
        try:
            signed = headers[KEY_HEADER], headers[TIME_HEADER], headers[SIGNATURE_HEADER]
        except KeyError as error:
            raise Unauthorized(f"the header {error.args[0].decode()} is missing", hint=_HINT) from error
        caller = _remembered(self._checked, sha256(b"\0".join(signed)).digest(), lambda: self._check(*signed))
        age = now - caller.signed_at
        if not -FROM_THE_FUTURE < age < OLDEST:
            raise Unauthorized(
                f"the signature is {age:.0f} s old", hint="set the device's clock by the Flip-Time of this answer"
            )
        return caller

    def _check(self, key: bytes, timestamp: bytes, signature: bytes) -> Caller:
        try:
            known = _remembered(self._keys, key, lambda: _parsed(key))
            signed_at = datetime.fromisoformat(timestamp.decode("ascii"))
            known.key.verify(b64decode(signature, validate=True), timestamp, ECDSA(SHA256()))
        except (binascii.Error, ValueError, UnsupportedAlgorithm) as error:
            raise Unauthorized(_MALFORMED, hint=_HINT) from error
        except InvalidSignature as error:
            raise Unauthorized("the signature does not match the key", hint=_HINT) from error
        if signed_at.tzinfo is None:
            raise Unauthorized(_MALFORMED, hint=_HINT)
        return Caller(fingerprint=known.fingerprint, public_key=known.pem, signed_at=signed_at.timestamp())


def _parsed(header: bytes) -> _Key:
    if len(header) > _LONGEST_KEY:
        raise Unauthorized(_MALFORMED, hint=_HINT)
    pem = b64decode(header, validate=True)
    key = load_pem_public_key(pem)
    if not isinstance(key, EllipticCurvePublicKey):
        raise Unauthorized(_MALFORMED, hint=_HINT)
    return _Key(pem=pem, key=key, fingerprint=fingerprint_of(key))


def _remembered(memory: OrderedDict[bytes, T], key: bytes, make: Callable[[], T]) -> T:
    """Nothing is remembered of what `make` refuses."""
    value = memory.get(key)
    if value is None:
        value = memory[key] = make()
        if len(memory) > _REMEMBERED:
            memory.popitem(last=False)
    else:
        memory.move_to_end(key)
    return value


_MALFORMED = "the authentication headers are malformed"
_HINT = "sign with the device's enrolled key, as Flower's SuperNode does"
