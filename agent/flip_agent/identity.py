"""Who this device is: written once at enrolment, read by every process of the agent."""

from pathlib import Path

import msgspec
from msgspec import Struct

from flip_runtime.atomic import write_file
from flip_runtime.errors import ConfigError
from flip_wire.fleet import DeviceId

IDENTITY_FILE = "identity.json"


class Identity(Struct, frozen=True, kw_only=True):
    device_id: DeviceId
    name: str
    hub_url: str
    fleet_address: str
    """HOST:PORT of the Fleet gateway."""
    ca: str
    """PEM of the hub's certificate authority."""
    app_keys: dict[str, str] = {}
    """Public keys by their id: what one of them has signed runs here (`federation.app_signature`)."""


def load_identity(state: Path) -> Identity | None:
    """None before enrolment. Raises `ConfigError` when the file is unreadable."""
    path = state / IDENTITY_FILE
    try:
        return msgspec.json.decode(path.read_bytes(), type=Identity)
    except FileNotFoundError:
        return None
    except (OSError, msgspec.DecodeError) as error:
        raise ConfigError(f"cannot read {path}: {error}", hint="enrol again, or restore the file") from error


def save_identity(state: Path, identity: Identity) -> None:
    write_file(state / IDENTITY_FILE, msgspec.json.format(msgspec.json.encode(identity)))
