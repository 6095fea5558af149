"""The certificate of a port: read from two files, and read again when they change, without a restart.

Connections that are open keep the certificate they began with. A pair that does not fit, as while one file of two has
been replaced, is not taken: the one before goes on, and the log says so once.
"""

import asyncio
import logging
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

from cryptography import x509

from flip_runtime.errors import ConfigError

log = logging.getLogger(__name__)

LOOK_EVERY = 2.0
"""Seconds between looks at the files."""
RENEWED_EVERY = 3600.0
"""Seconds between looks whether they are to be renewed."""
_Stamp = tuple[tuple[int, int, int], ...]


class ServerCertificate:
    """`renew` is called at first and each hour: it may replace the files."""

    def __init__(self, certificate: Path, key: Path, *, renew: Callable[[], object] | None = None) -> None:
        self._certificate = certificate
        self._key = key
        self._renew = renew
        self._context: ssl.SSLContext | None = None
        self._taken: _Stamp = ()

    @property
    def certificate(self) -> Path:
        return self._certificate

    def context(self) -> ssl.SSLContext:
        """The same for all connections of the port, now and later. Raises `ConfigError`."""
        if self._context is None:
            if self._renew is not None:
                self._renew()
            self._taken = self._stamp()
            self._context = _loaded(self._certificate, self._key)
        return self._context

    def expires_at(self) -> float:
        """Unix seconds. Raises `ConfigError`."""
        try:
            return x509.load_pem_x509_certificate(self._certificate.read_bytes()).not_valid_after_utc.timestamp()
        except (OSError, ValueError) as error:
            raise ConfigError(f"cannot read {self._certificate}") from error

    async def watch(self) -> NoReturn:
        """Until it is cancelled."""
        loop = asyncio.get_running_loop()
        renewed = loop.time()
        while True:
            await asyncio.sleep(LOOK_EVERY)
            if self._renew is not None and loop.time() - renewed > RENEWED_EVERY:
                self._renew()
                renewed = loop.time()
            self.look()

    def look(self) -> None:
        """Takes the files if they have changed."""
        context = self.context()
        now = self._stamp()
        if now == self._taken:
            return
        self._taken = now
        try:
            _loaded(self._certificate, self._key)  # a pair that does not fit must not touch what is in use
            context.load_cert_chain(self._certificate, self._key)
        except (ConfigError, OSError) as error:
            log.error("the new certificate is not taken", extra={"reason": str(error)})
            return
        log.info("certificate taken", extra={"file": str(self._certificate)})

    def _stamp(self) -> _Stamp:
        return tuple(_state(path) for path in (self._certificate, self._key))


def _loaded(certificate: Path, key: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(certificate, key)
    except FileNotFoundError as error:
        missing = certificate if not certificate.exists() else key
        raise ConfigError(f"{missing} is missing", hint="run flip-hub init, or correct the setting") from error
    except (OSError, ssl.SSLError) as error:
        raise ConfigError(f"{certificate} and {key} are no pair: {error}", hint="PEM, the key unencrypted") from error
    return context


def _state(path: Path) -> tuple[int, int, int]:
    try:
        found = path.stat()
    except OSError:
        return (0, 0, 0)
    return (found.st_mtime_ns, found.st_size, found.st_ino)
