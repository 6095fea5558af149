"""By whom an https hub and its gateway must be certified."""

import ssl

from flip_runtime.errors import ConfigError


def trusting_nobody() -> ssl.SSLContext:
    """For what is public, and proven otherwise."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def trusting(
    ca: str | None, *, named: str = "ca in identity.json", hint: str = "flip-agent enrol URL --token T --again"
) -> ssl.SSLContext:
    """By `ca` (PEM) and nobody else; without it, by the authorities that this machine knows. Raises `ConfigError`."""
    try:
        return ssl.create_default_context(cadata=ca if ca is None else ca or "nothing")  # "" would trust many
    except (ssl.SSLError, TypeError, ValueError) as error:
        raise ConfigError(f"{named} holds no PEM certificate", hint=hint) from error
