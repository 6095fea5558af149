"""Flower's node authentication, checked at the door: a P-384 key signs the time, and the key is the device.

The headers are those of Flower's SuperNode (`flwr.supernode.node_auth_http_interceptor`): base64 of the key's PEM, an
ISO 8601 time with its zone, base64 of the ECDSA / SHA-256 signature over that text. The SuperLink checks the same
headers again, and that the node named in the request belongs to the key.
"""

import binascii
from base64 import b64decode
from collections.abc import Mapping
from datetime import datetime

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, EllipticCurvePublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from msgspec import Struct

from flip_hub.devices.keys import fingerprint_of
from flip_hub.problem import Unauthorized

KEY_HEADER = b"flwr-public-key"
TIME_HEADER = b"flwr-timestamp"
SIGNATURE_HEADER = b"flwr-signature"

OLDEST = 305.0
"""Seconds that a signature is good for (flwr: TIMESTAMP_TOLERANCE + SYSTEM_TIME_TOLERANCE)."""
FROM_THE_FUTURE = 5.0
"""Seconds that a device's clock may be ahead (flwr: SYSTEM_TIME_TOLERANCE)."""


class Caller(Struct, frozen=True, kw_only=True):
    fingerprint: str
    """As in `flip_hub.devices.keys`."""
    public_key: bytes
    """PEM."""
    signed_at: float

    def good_for(self, now: float) -> float:
        """Seconds until the SuperLink would refuse the signature."""
        return self.signed_at + OLDEST - now


def authenticate(headers: Mapping[bytes, bytes], now: float) -> Caller:
    """Raises `Unauthorized` that says what is wrong."""
    try:
        pem = b64decode(headers[KEY_HEADER], validate=True)
        signature = b64decode(headers[SIGNATURE_HEADER], validate=True)
        timestamp = headers[TIME_HEADER]
        signed_at = datetime.fromisoformat(timestamp.decode("ascii"))
        key = load_pem_public_key(pem)
    except KeyError as error:
        raise Unauthorized(f"the header {error.args[0].decode()} is missing", hint=_HINT) from error
    except (binascii.Error, ValueError, UnsupportedAlgorithm) as error:
        raise Unauthorized("the authentication headers are malformed", hint=_HINT) from error
    if not isinstance(key, EllipticCurvePublicKey) or signed_at.tzinfo is None:
        raise Unauthorized("the authentication headers are malformed", hint=_HINT)
    try:
        key.verify(signature, timestamp, ECDSA(SHA256()))
    except InvalidSignature as error:
        raise Unauthorized("the signature does not match the key", hint=_HINT) from error
    age = now - signed_at.timestamp()
    if not -FROM_THE_FUTURE < age < OLDEST:
        raise Unauthorized(
            f"the signature is {age:.0f} s old", hint="set the device's clock by the Flip-Time of this answer"
        )
    return Caller(fingerprint=fingerprint_of(key), public_key=pem, signed_at=signed_at.timestamp())


_HINT = "sign with the device's enrolled key, as Flower's SuperNode does"
