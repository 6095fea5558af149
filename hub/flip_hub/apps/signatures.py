"""Ed25519 keys of people and of the hub, and what they sign (`flip_wire.apps` has the format)."""

import base64
import binascii
from collections.abc import Sequence

import msgspec
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from flip_hub.apps.schemas import AppSignature
from flip_runtime.errors import Rejected
from flip_wire.apps import LICENSE_ENTRY, Verification, signed_content
from flip_wire.keys import id_of_key
from flip_wire.models import Sha256

_MAKE_ONE = "make one: ssh-keygen -t ed25519 -f FILE"


class LockedKey(Rejected):
    """The key's file is encrypted."""


def make_private_key() -> bytes:
    """In OpenSSH's format."""
    encoding, form = serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH
    return Ed25519PrivateKey.generate().private_bytes(encoding, form, serialization.NoEncryption())


def load_private_key(content: bytes, password: bytes | None = None) -> Ed25519PrivateKey:
    """Of a file in OpenSSH's format or PEM. Raises `LockedKey`, or `Rejected` when it is no such key."""
    is_openssh = b"BEGIN OPENSSH" in content
    load = serialization.load_ssh_private_key if is_openssh else serialization.load_pem_private_key
    try:
        key = load(content, password)
    except TypeError as error:  # a password that is missing, or one too many
        raise LockedKey("the key is encrypted", hint="give its passphrase") from error
    except (ValueError, UnsupportedAlgorithm) as error:
        if password is None and "encrypted" in str(error):
            raise LockedKey("the key is encrypted", hint="give its passphrase") from error
        reason = "the passphrase is wrong" if password is not None else "this is no private key"
        raise Rejected(reason, hint=_MAKE_ONE) from error
    if not isinstance(key, Ed25519PrivateKey):
        raise Rejected("this is no ed25519 key", hint=_MAKE_ONE)
    return key


def public_line(key: Ed25519PrivateKey | Ed25519PublicKey) -> str:
    """In OpenSSH's format, without a comment."""
    public = key.public_key() if isinstance(key, Ed25519PrivateKey) else key
    return public.public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH).decode()


def load_public_key(line: str) -> Ed25519PublicKey:
    """Of a line in OpenSSH's format. Raises `Rejected`."""
    hint = "give the line that ssh-keygen -t ed25519 writes to FILE.pub"
    try:
        key = serialization.load_ssh_public_key(line.encode())
    except (ValueError, UnsupportedAlgorithm) as error:
        raise Rejected("this is no public key in OpenSSH's format", hint=hint) from error
    if not isinstance(key, Ed25519PublicKey):
        raise Rejected("this is no ed25519 key", hint=hint)
    return key


def sign_app(key: Ed25519PrivateKey, fab_hash: Sha256, at: float) -> AppSignature:
    signed_at = int(at)
    signature = base64.urlsafe_b64encode(key.sign(signed_content(fab_hash, signed_at))).decode()
    return AppSignature(key=id_of_key(public_line(key)), signature=signature, signed_at=signed_at)


def signed_by(public_key: str, fab_hash: Sha256, signature: AppSignature) -> bool:
    try:
        content = signed_content(fab_hash, signature.signed_at)
        load_public_key(public_key).verify(base64.urlsafe_b64decode(signature.signature), content)
    except (InvalidSignature, binascii.Error, ValueError, OverflowError):
        return False
    return True


def verifications(signatures: Sequence[AppSignature]) -> dict[str, str]:
    """As a FAB carries them; an app that nobody has signed carries none."""
    if not signatures:
        return {}
    said = {
        signature.key: msgspec.json.encode(Verification(signature.signature, signature.signed_at)).decode()
        for signature in signatures
    }
    return {LICENSE_ENTRY: "Valid", **said}
