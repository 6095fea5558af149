"""The hub's configuration: `hub.toml` and `FLIP_SECTION__KEY`, loaded once."""

from pathlib import Path
from typing import Annotated

from msgspec import Meta, Struct, field

from flip_runtime.ranges import LogLevel, Patience, Period, Port

Lifetime = Annotated[float, Meta(ge=60, le=366 * 86400)]


class HubSection(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    state: Path = Path("/var/lib/flip-hub")
    """Keys, certificates, model files, logs of child processes."""
    host: str = "127.0.0.1"
    port: Port = 8000
    """API and console."""
    tls: bool = False
    """Without it `host` must be a loopback address: for tests, and behind a proxy on the same machine."""
    names: list[str] = field(default_factory=lambda: ["localhost", "127.0.0.1"])
    """DNS names and addresses by which people and devices reach the API: those in its certificate, and the only ones
    that requests may name as their Host."""
    certificate: Path | None = None
    """PEM, with the chain; in place of one that the hub makes with its own authority. Replaced files are taken within
    seconds."""
    private_key: Path | None = None
    """PEM, of `certificate`."""
    url: str = ""
    """Of the console as people's browsers reach it, without a path; by default made of `host` and `port`."""

    @property
    def public_url(self) -> str:
        return self.url.rstrip("/") or f"{'https' if self.tls else 'http'}://{self.host}:{self.port}"


class MongoSection(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    url: str = "mongodb://127.0.0.1:27017"
    database: str = "flip"
    pool: Annotated[int, Meta(ge=1, le=1000)] = 32
    """Connections at most."""
    pool_idle: Annotated[int, Meta(ge=0, le=1000)] = 0
    """Connections that stay open when nothing is asked."""
    pool_wait: Period = 10.0
    """Seconds that a call waits for a free connection; then it is answered as if the registry were away."""


class RedisSection(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What several hub processes share; a single one needs none."""

    url: str = ""
    """`redis://HOST:PORT/0`, or `rediss://` with TLS. Without it sessions and limits are in this process's memory."""
    password_file: Path | None = None
    prefix: str = "flip"
    """Of its keys: hubs of different federations may share a Redis."""


class ArtifactsSection(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where files of models, apps and late contributions are kept; several hubs must share the place."""

    folder: Path | None = None
    """By default `hub.state`."""
    url: str = ""
    """`s3://BUCKET/PREFIX`, in place of a folder."""
    endpoint: str = ""
    """Of an S3-compatible store; by default Amazon's."""
    region: str = "us-east-1"
    access_key_file: Path | None = None
    """With `secret_key_file`; by default as the environment of the process says."""
    secret_key_file: Path | None = None


class FleetSection(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The gateway that devices' Flower traffic passes (TLS)."""

    host: str = "127.0.0.1"
    port: Port = 9092
    address: str = ""
    """HOST:PORT as devices reach it; by default `host:port`."""
    names: list[str] = field(default_factory=lambda: ["localhost", "127.0.0.1"])
    """DNS names and addresses in the certificate that `flip-hub init` makes."""
    wakes_within: Patience = 60.0
    """Seconds from the announcement of a run until a device that could be woken takes part; small boards take 20 to
    import Flower. A run goes on without one that is not heard of for so long, and without a slow one after thrice.
    With 0 a run counts only those that have joined."""


class SuperlinkSection(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    port: Port = 9091
    """On loopback only: it answers without credentials."""
    patience: Patience = 60.0
    """Seconds that a ServerApp's process tries to deliver each report to the hub. What it cannot tell is missing in the
    hub's account of the run; which replies it has is known all the same."""
    hung_after: Period = 30.0
    """Seconds without an answer after which it is taken to hang, and restarted; the runs under way fail then."""


class ControlSection(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Flower's Control API for people with accounts (TLS): `flwr login`, `flwr run`, `flwr list`, ..."""

    host: str = "127.0.0.1"
    port: Port = 9093


class AuthSection(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    access_lifetime: Lifetime = 15 * 60.0
    """Seconds that a token is good for calls; programs and the console renew it by themselves."""
    session_idle: Lifetime = 12 * 3600.0
    """Seconds without a renewal after which a login is over."""
    session_lifetime: Lifetime = 7 * 86400.0
    """Seconds that a login lasts at most."""
    device_token_lifetime: Lifetime = 6 * 3600.0


class OidcSection(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Login through a provider (OpenID Connect), beside accounts of the hub's own; off without an issuer.

    At the provider, allow `hub.url` + `/api/v1/auth/oidc/callback` as the redirect address.
    """

    issuer: str = ""
    """URL below which the provider has `.well-known/openid-configuration`."""
    name: str = "OpenID Connect"
    """As the console calls it."""
    client_id: str = ""
    client_secret_file: Path | None = None
    """Without one the hub is a public client (PKCE is used either way)."""
    scopes: list[str] = field(default_factory=lambda: ["openid", "profile", "email"])
    username_claim: str = "preferred_username"
    role_claim: str = "groups"
    """A text or a list of texts, in the ID token or what the provider says of the user."""
    roles: dict[str, str] = field(default_factory=dict)
    """Value of the claim -> `viewer`, `operator` or `admin`; the most powerful counts, and who has none stays out."""


class AppsSection(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    hub_signs: bool = False
    """Whether the hub's own key signs an app that nobody has signed when somebody starts it. Then whoever may start
    runs decides what code the devices run; otherwise only the holders of keys do (`flip-hub apps keys`)."""


class DevicesSection(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    heartbeat: Period = 30.0
    """Seconds between a device's signs of life; after two without one its state is unknown."""


class LogsSection(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    json: bool = False
    level: LogLevel = "info"


class Settings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    hub: HubSection = HubSection()
    mongo: MongoSection = MongoSection()
    redis: RedisSection = RedisSection()
    artifacts: ArtifactsSection = ArtifactsSection()
    fleet: FleetSection = FleetSection()
    superlink: SuperlinkSection = SuperlinkSection()
    control: ControlSection = ControlSection()
    auth: AuthSection = AuthSection()
    oidc: OidcSection = OidcSection()
    apps: AppsSection = AppsSection()
    devices: DevicesSection = DevicesSection()
    logs: LogsSection = LogsSection()
