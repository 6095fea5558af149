"""Whether a device has signed a statement (`flip_wire.statements`): ECDSA on P-384 with SHA-256."""

import base64
import binascii
from functools import lru_cache

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from flip_wire.statements import Signed

_KEYS = 4096


def is_signed_by(key: str, signed: Signed) -> bool:
    """`key`: PEM; False also of what is no key and no signature."""
    public = _loaded(key)
    if public is None:
        return False
    try:
        signature = base64.b64decode(signed.signature, validate=True)
        public.verify(signature, signed.statement.signed_content(), ec.ECDSA(hashes.SHA256()))
    except (InvalidSignature, binascii.Error, ValueError):
        return False
    return True


@lru_cache(maxsize=_KEYS)
def _loaded(key: str) -> ec.EllipticCurvePublicKey | None:
    try:
        public = load_pem_public_key(key.encode())
    except (ValueError, UnsupportedAlgorithm):
        return None
    return public if isinstance(public, ec.EllipticCurvePublicKey) and isinstance(public.curve, ec.SECP384R1) else None
