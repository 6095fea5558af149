"""A device's public key: P-384, known by its fingerprint, and the signatures it makes."""

import base64
import binascii
import hashlib

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from flip_hub.problem import Unprocessable


def load_public_key(pem: str) -> ec.EllipticCurvePublicKey:
    """Raises `Unprocessable` unless it is the PEM of a P-384 public key."""
    try:
        key = serialization.load_pem_public_key(pem.encode())
    except (ValueError, UnsupportedAlgorithm) as error:
        hint = "a P-384 key, as PEM or in OpenSSH's format: ssh-keygen -t ecdsa -b 384"
        raise Unprocessable("public_key is no public key that is known here", hint=hint) from error
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP384R1):
        raise Unprocessable("public_key is not on the curve P-384", hint="flip-agent enrol makes a fitting key")
    return key


def public_pem(content: bytes) -> str:
    """PEM of a public key in OpenSSH's format or PEM. Raises `Unprocessable` as `load_public_key` does."""
    if not content.lstrip().startswith(b"ecdsa-"):
        load_public_key(content.decode(errors="replace"))
        return content.decode()
    try:
        key = serialization.load_ssh_public_key(content.strip())
    except (ValueError, UnsupportedAlgorithm) as error:
        raise Unprocessable("this is no public key in OpenSSH's format", hint="ssh-keygen -t ecdsa -b 384") from error
    pem = key.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo).decode()
    load_public_key(pem)
    return pem


def fingerprint(pem: str) -> str:
    """Of the key in that PEM; raises as `load_public_key` does."""
    return fingerprint_of(load_public_key(pem))


def fingerprint_of(public_key: ec.EllipticCurvePublicKey) -> str:
    """SHA-256, in hexadecimal, of the SubjectPublicKeyInfo in DER: the same for every way of writing the key."""
    der = public_key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return hashlib.sha256(der).hexdigest()


def signed_by(pem: str, signature: str, content: bytes) -> bool:
    """Whether `signature` (base64 of a DER ECDSA signature over SHA-256) was made with that key."""
    try:
        load_public_key(pem).verify(base64.b64decode(signature, validate=True), content, ec.ECDSA(hashes.SHA256()))
    except (InvalidSignature, binascii.Error, ValueError):
        return False
    return True
