"""The hub's authority, fetched from a hub that nothing is known of yet, and trusted for its fingerprint alone.

Nothing is sent over that connection, and nothing else that comes over it is believed: not the server's certificate, not
the answer to any other call. Whoever sits in between can only hand out a certificate with another fingerprint, or the
right one, which helps nobody without its key.
"""

import binascii
import hashlib
import ssl

from flip_agent.hub.connection import HubConnection
from flip_agent.hub.tls import trusting_nobody
from flip_runtime.errors import ConfigError, Rejected, Unavailable

_PATH = "/api/v1/ca"
_DIGITS = 64


def pinned_authority(url: str, fingerprint: str) -> str:
    """PEM of the certificate with that SHA-256 (hexadecimal, of the DER). Raises `ConfigError` for a fingerprint that
    is none, `Rejected` when the hub shows another certificate, `Unavailable` when it shows none."""
    wanted = fingerprint.replace(":", "").lower()
    if len(wanted) != _DIGITS or set(wanted) - set("0123456789abcdef"):
        raise ConfigError("--ca-sha256 is no SHA-256", hint="it has 64 hexadecimal digits; flip-hub prints the command")
    if not url.startswith("https://"):
        raise ConfigError(
            f"{url} is not certified by anybody", hint="with --ca-sha256 the address begins with https://"
        )
    hub = HubConnection(url, context=trusting_nobody())
    answer = hub.exchange("GET", _PATH, headers={})
    hub.close()
    if answer.status != 200:
        raise Unavailable(f"{url} shows no authority: it answered {answer.status}", hint="is it a FLIP hub?")
    try:
        der = ssl.PEM_cert_to_DER_cert(answer.body.decode("ascii").strip())
    except (ValueError, binascii.Error) as error:
        raise Rejected(f"not enrolled: what {url} shows is no certificate", hint="is it a FLIP hub?") from error
    found = hashlib.sha256(der).hexdigest()
    if found != wanted:
        hint = "do not go on: somebody may sit in between; or the command is of another hub"
        raise Rejected(f"not enrolled: the authority at {url} has the fingerprint {found}", hint=hint)
    return ssl.DER_cert_to_PEM_cert(der)
