"""Enrolment, device tokens, and what the hub wants of a device (desired) against what it does (reported)."""

from typing import NewType

from msgspec import Struct

from flip_wire.actions import Action
from flip_wire.models import LocalParts, ModelAssignment
from flip_wire.version import WIRE_VERSION

DeviceId = NewType("DeviceId", str)
"""`dev-` and 12 hexadecimal digits, given by the hub at enrolment."""


class EnrolRequest(Struct, frozen=True, kw_only=True):
    """`POST /api/v1/enrol`: exchanges a single-use token for an identity."""

    token: str
    name: str
    """A human name, unique in the fleet; by default the host name."""
    public_key: str
    """PEM (SubjectPublicKeyInfo) of the P-384 key made on the device; also Flower's node key."""
    agent_version: str
    wire_version: int = WIRE_VERSION


class Enrolled(Struct, frozen=True, kw_only=True):
    device_id: DeviceId
    fleet_address: str
    """HOST:PORT of the Fleet gateway (TLS)."""
    ca: str
    """PEM of the hub's certificate authority."""
    app_keys: dict[str, str] = {}
    """Ed25519 public keys (OpenSSH's format) by their id: an app runs on the device when one of them has signed it."""
    model_keys: dict[str, str] = {}
    """Likewise: a model version is served on the device when one of them has signed it."""


class TokenRequest(Struct, frozen=True, kw_only=True):
    """`POST /api/v1/device/token`: a signed assertion, exchanged for a bearer token that lasts an hour."""

    device_id: DeviceId
    issued_at: float
    nonce: str
    """Printable."""
    signature: str
    """Base64 of the ECDSA P-384 / SHA-256 signature (DER) over `assertion()`."""
    life: str = ""
    """Of the running agent, drawn when it starts: two that live at once have one key, so one of them is a clone."""

    def assertion(self) -> bytes:
        """The bytes that are signed."""
        return token_assertion(self.device_id, self.issued_at, self.nonce, self.life)


def token_assertion(device_id: str, issued_at: float, nonce: str, life: str = "") -> bytes:
    told = f"\n{life}" if life else ""
    return f"flip-device-token\n{device_id}\n{issued_at:.3f}\n{nonce}{told}".encode()


class DeviceToken(Struct, frozen=True, kw_only=True):
    token: str
    expires_at: float


class WorkNotice(Struct, frozen=True, kw_only=True):
    """A run that may send this device messages: the agent starts `flip-agent train` while there is one."""

    run_id: str


class DesiredState(Struct, frozen=True, kw_only=True):
    """`GET /api/v1/device/desired?after=GENERATION&wait=SECONDS`: what the hub wants, whole, never a difference.

    The call waits until the generation differs from `after`, or answers 304 when `wait` (at most 60 s) is over. By
    `after` a device says what it has on its disk.
    """

    generation: int
    """Grows for each device by itself, and never goes back."""
    models: list[ModelAssignment] = []
    work: list[WorkNotice] = []
    actions: list[Action] = []
    """For this device alone; one that is not named any more is over."""


class ServingModel(Struct, frozen=True, kw_only=True, omit_defaults=True):
    model: str
    version: int
    since: float
    url: str
    """Where the device serves it, on its own loopback."""
    local: LocalParts | None = None
    """None of a version without parts that stay on devices."""


class RolloutFailure(Struct, frozen=True, kw_only=True):
    """A version that is wanted and not served, and why; the device goes on serving the earlier one."""

    model: str
    version: int
    reason: str
    again: bool = False
    """Not refused: it is tried again by itself, when the hub, the disk or the day's byte budget allow it."""


class ReportedState(Struct, frozen=True, kw_only=True):
    """What the device does now; travels as the telemetry event `state`."""

    generation: int
    agent_version: str
    training: str
    """`idle`, `waiting`, `training`, `held` or `delivering`."""
    serving: list[ServingModel] = []
    failures: list[RolloutFailure] = []
    held_because: str = ""
    """Why training waits on this device: heat, battery, load, disk, a metered link, busy inference; or why it fails to
    start."""
    mode: str = "normal"
    """`normal`; `reduced` after three quick failures of the agent in a row (no training, no serving by `run`); `safe`
    after five (heartbeat, rollback and doctor only)."""
    forms: list[str] = []
    """What it can send an update in (`flip_wire.terms.FORMS`), parts that stay local included; none: `float` alone."""
    on_battery: bool = False
    metered: bool = False
    """Whether its link is one of those that its owner calls metered."""
