"""What `flip-hub lab` asks of the fault lab, which is a program of its own (`flip_lab`)."""

from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta, Struct

from flip_hub.federation.plan import Plan, Value

Devices = Annotated[int, Meta(ge=1, le=2000)]


class LabRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    app: Path
    """The folder with its pyproject.toml."""
    devices: Devices
    faults: Path | None
    """None: nothing happens."""
    seed: Annotated[int, Meta(ge=0, le=2**63 - 1)]
    config: dict[str, Value]
    """Overrides of the app's configuration."""
    plan: Plan
    metric: str
    report: Path | None
    """Where the report goes as JSON."""
    workers: Annotated[int, Meta(ge=1, le=256)]
    """Processes that run ClientApps."""
    folder: Path | None
    """That keeps all the lab has written; None: nothing is kept."""


def encode(request: LabRequest) -> str:
    return msgspec.json.encode(request, enc_hook=str).decode()


def decode(text: str) -> LabRequest:
    """Raises `msgspec.ValidationError` that names the field."""
    return msgspec.json.decode(text, type=LabRequest, dec_hook=lambda kind, value: kind(value))
