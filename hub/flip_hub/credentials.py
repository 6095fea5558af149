"""The files that only the hub may read: made once by `flip-hub init`, never overwritten, loaded by `flip-hub serve`."""

import ipaddress
import secrets
from datetime import UTC, datetime
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from msgspec import Struct

from flip_hub.apps.signatures import load_private_key, make_private_key
from flip_hub.certificates import KeyPair, is_to_renew, make_authority, make_server
from flip_hub.settings import Settings
from flip_hub.tls import ServerCertificate
from flip_runtime.atomic import write_file
from flip_runtime.errors import ConfigError, Rejected

CA, CA_KEY = "ca.pem", "ca.key"
GATEWAY, GATEWAY_KEY = "fleet.pem", "fleet.key"
API, API_KEY = "api.pem", "api.key"
PROXY, PROXY_KEY = "proxy.pem", "proxy.key"
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
    for name in (CA, CA_KEY):
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
        made = _make_certificates(settings)
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


def gateway_certificate(settings: Settings) -> ServerCertificate:
    """Of the ports for Flower's traffic: 9092 and 9093. It is renewed before it ends, and when their names change."""
    state = settings.hub.state
    return ServerCertificate(
        state / GATEWAY, state / GATEWAY_KEY, renew=lambda: _renew(state, GATEWAY, GATEWAY_KEY, settings.fleet.names)
    )


def api_certificate(settings: Settings) -> ServerCertificate | None:
    """Of API and console: the user's, or one of the hub's own; None where they speak plain HTTP."""
    hub = settings.hub
    if not hub.tls:
        if not _is_loopback(hub.host):
            raise ConfigError(
                f"without TLS the hub does not listen on {hub.host}", hint="set hub.tls, or hub.host to 127.0.0.1"
            )
        return None
    if hub.certificate is not None and hub.private_key is not None:
        return ServerCertificate(hub.certificate, hub.private_key)
    if hub.certificate is not None or hub.private_key is not None:
        raise ConfigError("hub.certificate and hub.private_key go together", hint="set both, or neither")
    return ServerCertificate(
        hub.state / API, hub.state / API_KEY, renew=lambda: _renew(hub.state, API, API_KEY, hub.names)
    )


def issue_certificate(state: Path, names: list[str], folder: Path) -> list[Path]:
    """For a proxy: its certificate, key, and the authority, written to `folder`. Raises `ConfigError`."""
    authority = KeyPair(_read(state / CA), _read(state / CA_KEY))
    pair = make_server(authority, names)
    files = {PROXY_KEY: pair.key, PROXY: pair.certificate, CA: authority.certificate + b"\n"}
    try:
        for name, content in files.items():
            write_file(folder / name, content)
    except OSError as error:
        raise ConfigError(f"cannot write to {folder}: {error.strerror}", hint="name another with --folder") from error
    return [folder / name for name in files]


def _make_certificates(settings: Settings) -> list[str]:
    """Keys go first: a certificate that is there has its key."""
    state, made = settings.hub.state, list[str]()
    if not (state / CA).exists():
        made += _save(state, make_authority(), CA, CA_KEY)
    made += _renew(state, GATEWAY, GATEWAY_KEY, settings.fleet.names)
    return made + _renew(state, API, API_KEY, settings.hub.names)


def _renew(state: Path, certificate: str, key: str, names: list[str]) -> list[str]:
    """Makes it where it is missing, ends soon, or is for other names. Raises `ConfigError`."""
    authority = _read(state / CA)
    if (state / certificate).exists() and (state / key).exists():
        try:
            if not is_to_renew(_read(state / certificate), authority, names, datetime.now(UTC)):
                return []
        except ValueError as error:
            raise ConfigError(f"{state / certificate} is damaged", hint="move it away: it is made anew") from error
    return _save(state, make_server(KeyPair(authority, _read(state / CA_KEY)), names), certificate, key)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


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
