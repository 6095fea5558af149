"""What beside its parts must be in order for the hub to do its work: room on its disk, and valid certificates."""

import shutil
import time
from pathlib import Path

from flip_hub.credentials import gateway_certificate
from flip_hub.health import Check
from flip_hub.settings import Settings
from flip_hub.tls import ServerCertificate
from flip_runtime.errors import ConfigError

LEAST_ROOM = 256 * 2**20
"""Bytes that must be free in `hub.state`: a model or two, and the logs."""


def readiness_checks(settings: Settings, api: ServerCertificate | None) -> dict[str, Check]:
    """`api`: the certificate of its port; None where it speaks plain HTTP."""
    checks = {"disk": room(settings.hub.state), "fleet": valid(gateway_certificate(settings), "fleet")}
    return checks if api is None else checks | {"api": valid(api, "hub")}


def room(state: Path) -> Check:
    async def look() -> str:
        try:
            free = shutil.disk_usage(state).free
        except OSError as error:
            return f"hub.state cannot be read: {error.strerror}"
        missing = f"{free // 2**20} MiB are free in hub.state, {LEAST_ROOM // 2**20} are needed"
        return "" if free >= LEAST_ROOM else missing

    return look


def valid(certificate: ServerCertificate, section: str) -> Check:
    """`section`: of the settings that name the certificate."""

    async def look() -> str:
        try:
            ended = certificate.expires_at() <= time.time()
        except ConfigError as error:
            return error.args[0]
        return f"its certificate has expired, see [{section}]" if ended else ""

    return look
