"""The agent's configuration: `agent.toml` and `FLIP_SECTION__KEY`, loaded once."""

from pathlib import Path

from msgspec import Struct

Value = bool | int | float | str


class AgentSection(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    state: Path = Path("/var/lib/flip")
    """Everything that must survive: key, identity, outbox, session, models."""
    runtime: Path | None = None
    """Sockets; by default `run` below `state`. A path of a socket may have at most 107 bytes."""
    heartbeat: float = 30.0
    """Seconds between health events."""
    supervise: bool = True
    """Start `serve` and `train` as child processes; systemd does it where this is off."""

    @property
    def run_socket(self) -> Path:
        return (self.runtime or self.state / "run") / "agent.sock"


class OutboxSection(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    max_bytes: int = 64 * 2**20
    """Of the file on disk; when it is full the lowest priority goes first, oldest first, alerts never."""


class InferenceSection(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    host: str = "127.0.0.1"
    port: int = 8082
    max_rows: int = 64
    """Rows of one batch."""
    max_queue: int = 512
    """Requests that may wait; one more is answered 429."""
    max_body: int = 16 * 2**20
    """Bytes of a request."""


class FederationSection(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    node_config: dict[str, Value] = {}
    """What apps find in `context.node_config`, for example where this device's data lies."""
    app_timeout: float = 3600.0
    """Seconds one message may take in the ClientApp."""
    idle_exit: float = 20.0
    """Seconds without work after which `flip-agent train` leaves."""
    trusted_app_keys: list[str] | None = None
    """Public keys (lines of OpenSSH's format, `ssh-ed25519 AAAA...`) whose apps run here, in place of those that the
    hub named at enrolment: fewer, or others that the hub does not know."""


class LogsSection(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    json: bool = False
    level: str = "info"


class Settings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    agent: AgentSection = AgentSection()
    outbox: OutboxSection = OutboxSection()
    inference: InferenceSection = InferenceSection()
    federation: FederationSection = FederationSection()
    logs: LogsSection = LogsSection()
