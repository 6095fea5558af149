"""Who this device is: written once at enrolment, read by every process of the agent."""

from pathlib import Path

import msgspec
from msgspec import Struct

from flip_runtime.atomic import write_file
from flip_runtime.errors import ConfigError
from flip_wire.fleet import DeviceId

IDENTITY_FILE = "identity.json"
_WAY_OUT = "restore it, or enrol anew: flip-agent enrol URL --token T --again"


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
    model_keys: dict[str, str] = {}
    """Likewise: what one of them has signed is served here (`models.signature`)."""
    api_ca: str | None = None
    """PEM of who certified the API when the device enrolled; empty where that was an authority that the machine knows,
    None where the API is certified as the gateway is."""

    @property
    def trusted(self) -> str | None:
        """PEM of the one authority by which an https hub is trusted; None: by those that the machine knows."""
        return (self.ca if self.api_ca is None else self.api_ca) or None


def load_identity(state: Path) -> Identity | None:
    """None before enrolment. Raises `ConfigError` when the file is unreadable."""
    path = state / IDENTITY_FILE
    try:
        return msgspec.json.decode(path.read_bytes(), type=Identity)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ConfigError(f"cannot read {path}: {error.strerror}", hint=_WAY_OUT) from error
    except ValueError as error:  # also of text that is no UTF-8
        raise ConfigError(f"{path} is damaged: {error}", hint=_WAY_OUT) from error


def save_identity(state: Path, identity: Identity) -> None:
    write_file(state / IDENTITY_FILE, msgspec.json.format(msgspec.json.encode(identity)))
