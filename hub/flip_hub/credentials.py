"""The files that only the hub may read: made once by `flip-hub init`, never overwritten, loaded by `flip-hub serve`."""

import secrets
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from msgspec import Struct

from flip_hub.apps.signatures import load_private_key, make_private_key
from flip_hub.certificates import KeyPair, make_authority, make_gateway
from flip_hub.settings import Settings
from flip_runtime.atomic import write_file
from flip_runtime.errors import ConfigError, Rejected

CA, CA_KEY = "ca.pem", "ca.key"
GATEWAY, GATEWAY_KEY = "fleet.pem", "fleet.key"
TOKEN_SECRET = "token.secret"  # noqa: S105  the name of a file
APP_KEY, MODEL_KEY = "app.key", "model.key"
INTERNAL_SECRET = "internal.secret"  # noqa: S105  the name of a file


class Credentials(Struct, frozen=True, kw_only=True):
    token_secret: bytes
    """Signs the tokens of people and devices."""
    internal_secret: bytes
    """Shown by the hub's own child processes."""
    app_key: Ed25519PrivateKey
    """Signs apps, where the policy lets the hub do so."""
    model_key: Ed25519PrivateKey
    """Signs model versions."""


def load_credentials(state: Path) -> Credentials:
    """Raises `ConfigError` for a state folder that was never initialised."""
    for name in (CA, GATEWAY, GATEWAY_KEY):
        _read(state / name)
    return Credentials(
        token_secret=_read(state / TOKEN_SECRET),
        internal_secret=_read(state / INTERNAL_SECRET),
        app_key=_read_key(state / APP_KEY),
        model_key=_read_key(state / MODEL_KEY),
    )


def make_credentials(settings: Settings) -> list[str]:
    """Makes what is missing, and gives the names of the files it made. Raises `ConfigError`."""
    state = settings.hub.state
    try:
        state.mkdir(mode=0o700, parents=True, exist_ok=True)
        state.chmod(0o700)
        made = _make_certificates(state, settings.fleet.names)
        for name in (TOKEN_SECRET, INTERNAL_SECRET):
            if not (state / name).exists():
                write_file(state / name, secrets.token_hex(32).encode())
                made.append(name)
        for name in (APP_KEY, MODEL_KEY):
            if not (state / name).exists():
                write_file(state / name, make_private_key())
                made.append(name)
    except OSError as error:
        hint = "make the folder writable, or set hub.state to another"
        raise ConfigError(f"cannot write to {state}: {error.strerror}", hint=hint) from error
    return made


def _make_certificates(state: Path, names: list[str]) -> list[str]:
    """Keys go first: a certificate that is there has its key."""
    made: list[str] = []
    if not (state / CA).exists():
        made += _save(state, make_authority(), CA, CA_KEY)
    if not (state / GATEWAY).exists():
        authority = KeyPair(_read(state / CA), _read(state / CA_KEY))
        made += _save(state, make_gateway(authority, names), GATEWAY, GATEWAY_KEY)
    return made


def _save(state: Path, pair: KeyPair, certificate: str, key: str) -> list[str]:
    write_file(state / key, pair.key)
    write_file(state / certificate, pair.certificate)
    return [certificate, key]


def _read_key(path: Path) -> Ed25519PrivateKey:
    try:
        return load_private_key(_read(path))
    except Rejected as error:
        raise ConfigError(
            f"{path}: {error.args[0]}", hint="restore it, or move it away and run flip-hub init"
        ) from error


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes().strip()
    except FileNotFoundError as error:
        raise ConfigError(f"{path} is missing", hint="run flip-hub init, or correct hub.state") from error
    except OSError as error:
        raise ConfigError(f"cannot read {path}: {error.strerror}", hint="check its owner and mode") from error
