"""The device's private key: P-384, in a file that it never leaves. Who loads it learns at once whether it is one.

cryptography is imported by who loads a key, and by nobody else: `run` has a child sign (`hub.assertion`).
"""

from pathlib import Path
from typing import TYPE_CHECKING

from flip_runtime.atomic import write_file
from flip_runtime.errors import ConfigError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey

KEY_FILE = "device.key"
"""PEM (PKCS 8), mode 0600; also Flower's node key."""
_WAY_OUT = "restore it, or move it away and make another: flip-agent enrol URL --token T --again"


def make_key(state: Path) -> None:
    """Keeps one that is there."""
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    path = state / KEY_FILE
    if path.exists():
        return
    made = ec.generate_private_key(ec.SECP384R1())
    pem = made.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    write_file(path, pem, mode=0o600)


def read_key(state: Path) -> bytes:
    """The file's content, once it is known to be good. Raises `ConfigError`."""
    load_key(state)
    return (state / KEY_FILE).read_bytes()


def load_key(state: Path) -> "EllipticCurvePrivateKey":
    """Raises `ConfigError` when there is none, or it is of another kind."""
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    path = state / KEY_FILE
    try:
        key = load_pem_private_key(path.read_bytes(), password=None)
    except OSError as error:
        raise ConfigError(f"cannot read {path}: {error.strerror}", hint=_WAY_OUT) from error
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:  # TypeError: it is encrypted
        raise ConfigError(f"{path} is damaged: no private key", hint=_WAY_OUT) from error
    if not isinstance(key, ec.EllipticCurvePrivateKey) or not isinstance(key.curve, ec.SECP384R1):
        raise ConfigError(f"{path} is no key of the curve P-384", hint=_WAY_OUT)
    return key
