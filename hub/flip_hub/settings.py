"""The hub's configuration: `hub.toml` and `FLIP_SECTION__KEY`, loaded once."""

from pathlib import Path
from typing import Annotated, Literal

from msgspec import Meta, Struct, field

from flip_hub.auth.permissions import Role
from flip_hub.rollouts.terms import Gates, Ring
from flip_runtime.ranges import LogLevel, Patience, Period, Port, Share

_EVERYWHERE = {"0.0.0.0", "::"}  # noqa: S104  what is asked for is recognised here

Lifetime = Annotated[float, Meta(ge=60, le=366 * 86400)]


class HubSection(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    state: Path = Path("/var/lib/flip-hub")
    """Keys, certificates, model files, logs of child processes."""
    host: str = "127.0.0.1"
    port: Port = 8000
    """API and console."""
    tls: bool = True
    """Without it `host` must be a loopback address: for tests, and behind a proxy on the same machine."""
    names: list[str] = field(default_factory=lambda: ["localhost", "127.0.0.1"])
    """DNS names and addresses by which people and devices reach the API: those in its certificate, and the only ones
    that requests may name as their Host."""
    proxies: list[str] = []
    """Addresses or networks of proxies whose `X-Forwarded-For` says who calls."""
    certificate: Path | None = None
    """PEM, with the chain; in place of one that the hub makes with its own authority. Replaced files are taken within
    seconds."""
    private_key: Path | None = None
    """PEM, of `certificate`."""
    url: str = ""
    """Of the console as people's browsers reach it, without a path; by default made of `host`, or the first of `names`
    where that is every interface, and `port`."""

    @property
    def admin_socket(self) -> Path:
        """Of the API, for root and the hub's user on this machine."""
        return self.state / "admin.sock"

    @property
    def public_url(self) -> str:
        host = next(iter(self.names), self.host) if self.host in _EVERYWHERE else self.host
        return self.url.rstrip("/") or f"{'https' if self.tls else 'http'}://{host}:{self.port}"


class MongoSection(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    url: str = "mongodb://127.0.0.1:27017"
    """With the user in it, where there is one: `mongodb://flip@HOST/?authSource=admin`."""
    password_file: Path | None = None
    """Of that user."""
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
    """`redis://HOST:PORT/0`, or `rediss://` with TLS. Without it limits are in this process's memory, and sessions in
    the registry."""
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


class ClusterSection(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Several hubs with one registry, of which one at a time runs the federation."""

    name: str = ""
    """Of this hub, which no other one has. Without it this is the only hub."""
    address: str = ""
    """URL of this very hub, for the people who read why another one does not answer."""
    lease: Annotated[float, Meta(ge=2, le=600)] = 30.0
    """Seconds until another hub takes over from one that is gone; the registry may be away for three quarters of them
    before the runs under way fail. An election of MongoDB's takes about 12."""


class UploadsSection(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Files on their way to the hub; they lie in `artifacts.folder` (by default `hub.state`), under `uploads`."""

    largest: Annotated[int, Meta(ge=1, le=2**40)] = 4 * 2**30
    """Bytes of one file."""
    most_bytes: Annotated[int, Meta(ge=1, le=2**44)] = 20 * 2**30
    """Bytes of all that are announced and not yet used."""
    kept: Lifetime = 86400.0
    """Seconds after which one that nobody goes on with, or uses, is thrown away."""


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
    hung_after: Period = 60.0
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
    device_token_lifetime: Lifetime = 3600.0


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
    roles: dict[str, Role] = field(default_factory=dict)
    """Value of the claim -> role; the most powerful counts, and who has none stays out."""


class AppsSection(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    hub_signs: bool = False
    """Whether the hub's own key signs an app that nobody has signed when somebody starts it. Then whoever may start
    runs decides what code the devices run; otherwise only the holders of keys do (`flip-hub apps keys`)."""


class DevicesSection(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    heartbeat: Period = 30.0
    """Seconds between a device's signs of life; after two without one its state is unknown."""
    batches: Annotated[float, Meta(ge=0, le=10_000)] = 10.0
    """Of telemetry that each device may send in a second, on average; 0 allows any number. What comes oftener is
    answered 429, and the device waits."""
    batches_at_once: Annotated[int, Meta(ge=1, le=100_000)] = 200
    """That it may send after a pause: what has piled up while it had no network."""


class AlertsSection(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """When somebody is told of what is wrong."""

    interval: Annotated[float, Meta(ge=0.2, le=3600)] = 10.0
    """Seconds between looks."""
    group_wait: Annotated[float, Meta(ge=0, le=3600)] = 30.0
    """Seconds that an alert waits for others, so that one mail tells them all."""
    device_silent: Annotated[float, Meta(ge=1, le=30 * 86400)] = 300.0
    """Seconds without a sign of life."""
    device_backlog: Annotated[int, Meta(ge=1, le=10_000_000)] = 5_000
    """Events in a device's outbox."""
    device_disk: Annotated[int, Meta(ge=1, le=1_000_000)] = 200
    """MiB that must be free on a device."""
    run_stalled: Annotated[float, Meta(ge=1, le=30 * 86400)] = 1800.0
    """Seconds that a run may take from one step to the next."""
    certificate_days: Annotated[float, Meta(ge=0, le=365)] = 21.0
    """Before the end of a certificate; the hub's own are renewed long before."""
    token_days: Annotated[float, Meta(ge=0, le=365)] = 7.0
    """Before the end of an API token."""
    hub_disk: Annotated[int, Meta(ge=1, le=1_000_000)] = 2048
    """MiB that must be free in `hub.state`."""
    superlink_starts: Annotated[int, Meta(ge=1, le=1000)] = 3
    """In 15 minutes."""
    refused_logins: Annotated[int, Meta(ge=1, le=1_000_000)] = 30
    """In 15 minutes."""


class RolloutsSection(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How versions are brought to the fleet ring by ring."""

    rings: list[Ring] = []
    """`[[rollouts.rings]]`, the last one everybody: of rollouts that name none, and of the best version of each run
    that ends. Without any, that version is promoted: every device gets it at once."""
    gates: Gates = Gates()
    """Of rollouts that name none."""
    interval: Annotated[float, Meta(ge=0.2, le=3600)] = 5.0
    """Seconds between looks at what devices report; they report with each heartbeat."""


class UpdatesSection(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Packages for devices."""

    repository: Path | None = None
    """The folder `public` of an apt repository (`packaging/repo`): devices install from it and update themselves from
    it."""


class MailSection(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Alerts by mail; off without a host."""

    host: str = ""
    port: Port = 587
    security: Literal["starttls", "tls", "none"] = "starttls"
    ca: Path | None = None
    """PEM of the authority that has signed the server's certificate, where the system does not know it."""
    user: str = ""
    password_file: Path | None = None
    sender: str = ""
    to: list[str] = field(default_factory=list[str])


class WebhookSection(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Alerts as signed JSON; off without a URL."""

    url: str = ""
    secret_file: Path | None = None
    """Shared with the receiver; each call is signed with it (`Flip-Signature`)."""
    ca: Path | None = None
    """As in `[mail]`."""


class OtlpSection(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Traces and metrics for a collector (OpenTelemetry); off without an endpoint."""

    endpoint: str = ""
    """`http://HOST:4317` for gRPC, `http://HOST:4318` for HTTP; `https:` with TLS."""
    protocol: Literal["grpc", "http"] = "grpc"
    headers_file: Path | None = None
    """A line `NAME: VALUE` for each header, such as an API key."""
    certificate: Path | None = None
    """PEM of the authority that has signed the collector's certificate, where the system does not know it."""
    sample: Share = 0.05
    """Of the traces that begin at the hub, mostly with devices' calls. What people change by console or command line
    begins a trace there that is always exported, with the runs that come of it."""
    interval: Annotated[float, Meta(ge=0.5, le=3600)] = 15.0
    """Seconds."""


class MetricsSection(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`GET /metrics`, for Prometheus."""

    token_file: Path | None = None
    """With a bearer token that opens it also while the registry is away. People and API tokens that may read the hub
    need none."""


class LogsSection(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    json: bool = False
    level: LogLevel = "info"


class Settings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    hub: HubSection = HubSection()
    mongo: MongoSection = MongoSection()
    redis: RedisSection = RedisSection()
    cluster: ClusterSection = ClusterSection()
    artifacts: ArtifactsSection = ArtifactsSection()
    uploads: UploadsSection = UploadsSection()
    fleet: FleetSection = FleetSection()
    superlink: SuperlinkSection = SuperlinkSection()
    control: ControlSection = ControlSection()
    auth: AuthSection = AuthSection()
    oidc: OidcSection = OidcSection()
    apps: AppsSection = AppsSection()
    devices: DevicesSection = DevicesSection()
    rollouts: RolloutsSection = RolloutsSection()
    updates: UpdatesSection = UpdatesSection()
    alerts: AlertsSection = AlertsSection()
    mail: MailSection = MailSection()
    webhook: WebhookSection = WebhookSection()
    otlp: OtlpSection = OtlpSection()
    metrics: MetricsSection = MetricsSection()
    logs: LogsSection = LogsSection()
