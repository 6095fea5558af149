"""Ed25519 public keys as lines of OpenSSH's format, and those that the operator of a device names.

It imports cryptography: `run` has a child ask (`models.signature`).
"""

from collections.abc import Sequence

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_ssh_public_key

from flip_runtime.errors import ConfigError
from flip_wire.keys import id_of_key


def load_public_key(line: str) -> Ed25519PublicKey:
    """Raises `ValueError`."""
    try:
        key = load_ssh_public_key(line.encode())
    except UnsupportedAlgorithm as error:
        raise ValueError(str(error)) from error
    if not isinstance(key, Ed25519PublicKey):
        raise ValueError("this is no ed25519 key")
    return key


def named_keys(lines: Sequence[str], *, setting: str) -> dict[str, str]:
    """By their ids. Raises `ConfigError` that names the setting they stand in."""
    keys: dict[str, str] = {}
    for line in lines:
        try:
            load_public_key(line)
            keys[id_of_key(line)] = line
        except ValueError as error:
            hint = "each is a line as ssh-keygen -t ed25519 writes to FILE.pub"
            raise ConfigError(f"{setting}: {line[:40]!r}: {error}", hint=hint) from error
    return keys
