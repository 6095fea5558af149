"""Ids of the Ed25519 keys that sign apps and model versions: names, not proofs. Who verifies has the key itself."""

import base64
import binascii
import hashlib


def id_of_key(public_key: str) -> str:
    """`key-` and 16 hexadecimal digits, from the key itself (OpenSSH's format). Raises `ValueError`."""
    words = public_key.split()
    if len(words) < 2 or words[0] != "ssh-ed25519":
        raise ValueError("a line of OpenSSH's format begins with ssh-ed25519")
    try:
        blob = base64.b64decode(words[1], validate=True)
    except binascii.Error as error:
        raise ValueError(f"the key is no base64: {error}") from error
    return f"key-{hashlib.sha256(blob).hexdigest()[:16]}"
