"""Signatures of apps, in the format in which Flower's FABs carry them (`Fab.verifications`, flwr 1.41).

An app is known by the SHA-256 of its file. What is signed (ed25519) is the date, 8 bytes big endian, and that hash.
"""

import base64
import binascii
import hashlib

from msgspec import Struct

from flip_wire.models import Sha256

LICENSE_ENTRY = "valid_license"
"""Stands among a FAB's verifications beside the keys' ids; without it Flower's SuperNode takes nothing as signed."""


class Verification(Struct, frozen=True):
    """What one key says of an app; JSON, under the key's id."""

    signature: str
    """Base64 in the alphabet for URLs."""
    signed_at: int
    """Unix seconds."""


def signed_content(fab_hash: Sha256, signed_at: int) -> bytes:
    """The bytes that are signed."""
    return signed_at.to_bytes(8, "big") + bytes.fromhex(fab_hash)


def app_key_id(public_key: str) -> str:
    """`key-` and 16 hexadecimal digits, from the key itself (OpenSSH's format). Raises `ValueError`."""
    words = public_key.split()
    if len(words) < 2 or words[0] != "ssh-ed25519":
        raise ValueError("a line of OpenSSH's format begins with ssh-ed25519")
    try:
        blob = base64.b64decode(words[1], validate=True)
    except binascii.Error as error:
        raise ValueError(f"the key is no base64: {error}") from error
    return f"key-{hashlib.sha256(blob).hexdigest()[:16]}"
