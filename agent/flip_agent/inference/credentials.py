"""The secrets of `serve`, from files that nobody else on this device may read: its token, and the key of its TLS."""

import ssl
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from flip_agent.settings import InferenceSection
from flip_runtime.errors import ConfigError

_LEAST = 16
"""Characters of a token: fewer could be guessed over the network."""
_MOST = 4096


@dataclass(frozen=True)
class Credentials:
    token: str = ""
    """That each request must show; empty: none."""
    certificate: bytes = b""
    """PEM, as is the key; empty: what is said here is not encrypted."""
    private_key: bytes = b""
    tls: ssl.SSLContext | None = None


def read_credentials(where: InferenceSection) -> Credentials:
    """Raises `ConfigError`."""
    token = "" if where.token_file is None else _read_token(where.token_file)
    if where.certificate is None and where.private_key is None:
        return Credentials(token)
    if where.certificate is None or where.private_key is None:
        message = "of inference.certificate and inference.private_key only one is set"
        raise ConfigError(message, hint="TLS needs both; set both, or none")
    key = _read_private(where.private_key, "inference.private_key")
    certificate = _read(where.certificate, "inference.certificate")
    return Credentials(token, certificate, key, _tls_context(where.certificate, where.private_key))


def _read_token(path: Path) -> str:
    content = _read_private(path, "inference.token_file")
    token = content.strip().decode("ascii", errors="replace")
    if not _LEAST <= len(token) <= _MOST or not token.isascii() or not token.isprintable() or " " in token:
        raise ConfigError(
            f"inference.token_file {path} holds no token: {_LEAST} to {_MOST} ASCII characters without spaces",
            hint=f"make one: openssl rand -hex 32 > {path}",
        )
    return token


def _tls_context(certificate: Path, private_key: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(certificate, private_key, password=_no_password)
    except (OSError, ValueError) as error:  # the error of `ssl` is an OSError
        raise ConfigError(
            f"inference.certificate {certificate} with inference.private_key {private_key} makes no TLS: {error}",
            hint="both are PEM files, the key is the certificate's, and has no password",
        ) from error
    return context


def _read_private(path: Path, key: str) -> bytes:
    content = _read(path, key)
    if stat.S_IMODE(path.stat().st_mode) & 0o077:
        message = f"{key} {path} may be read or written by others on this device"
        raise ConfigError(message, hint=f"chmod 600 {path}")
    return content


def _read(path: Path, key: str) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        message = f"{key} {path} cannot be read: {error.strerror}"
        raise ConfigError(message, hint="check its name, owner and mode") from error


def _no_password() -> NoReturn:
    """Instead of asking for it at the terminal."""
    raise ValueError("the key has a password")
