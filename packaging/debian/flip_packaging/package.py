"""What each Debian package consists of."""

from pathlib import Path

from msgspec import Struct

ROOT = Path(__file__).parents[3]
DEBIAN = ROOT / "packaging" / "debian"
PYTHON = "3.11"
"""Of Debian 12; compiled modules are for exactly this one."""


class Arch(Struct, frozen=True):
    debian: str
    platform: str
    """As uv calls it; the C library is Debian 12's."""


ARCHES = {
    "amd64": Arch("amd64", "x86_64-manylinux_2_36"),
    "arm64": Arch("arm64", "aarch64-manylinux_2_36"),
}


class Program(Struct, frozen=True, kw_only=True):
    """A package with a program of ours: each version has a folder of its own."""

    name: str
    summary: str
    description: str
    extra: str
    """Of pyproject.toml: what it needs of others."""
    own: tuple[str, ...]
    """Python packages of ours, below the root of the sources."""
    module: str
    user: str
    state: Path
    config: Path
    recommends: tuple[str, ...]
    units: tuple[str, ...]
    """Files of `systemd/`."""
    enabled: tuple[str, ...]
    """Units that start with the machine."""
    restarted: tuple[str, ...]
    """Units, or patterns of them, that an upgrade restarts, in this order."""
    programs_of: tuple[str, ...] = ()
    """Distributions whose commands it runs by name."""


_COMMON = ("common/flip_wire", "common/flip_runtime", "common/flip_update")

AGENT = Program(
    name="flip-agent",
    summary="federated learning agent for edge devices",
    description=(
        "Trains with Flower on the data of this device, serves the newest good model\n"
        "over local HTTP, keeps what it must not lose while offline, and reports its\n"
        "own health to a FLIP hub. Install flip-agent-torch too where apps need torch."
    ),
    extra="agent",
    own=(*_COMMON, "agent/flip_agent"),
    module="flip_agent",
    user="flip",
    state=Path("/var/lib/flip"),
    config=Path("/etc/flip/agent.toml"),
    recommends=(),
    units=(
        *("flip-agent.service", "flip-safemode.service", "flip-train.path", "flip-train.service"),
        *("flip-update.path", "flip-update.service"),
        *("flip-inference@.socket", "flip-inference@.service"),
        *("flip.slice", "flip-core.slice", "flip-infer.slice", "flip-train.slice"),
    ),
    enabled=(
        *("flip-agent.service", "flip-train.path", "flip-update.path", "flip-update.service"),
        *("flip-inference@default.socket", "flip-inference@default.service"),
    ),
    restarted=("flip-inference@*.service", "flip-train.service", "flip-agent.service"),
)
HUB = Program(
    name="flip-hub",
    summary="hub of a federated learning platform for edge devices",
    description=(
        "Runs Flower's SuperLink behind a gateway, keeps devices, runs and models in\n"
        "MongoDB, and serves the API and the web console. MongoDB comes from its own\n"
        "repository. Install flip-agent-torch too where apps need torch."
    ),
    extra="hub",
    own=(*_COMMON, "hub/flip_hub"),
    module="flip_hub",
    user="flip-hub",
    state=Path("/var/lib/flip-hub"),
    config=Path("/etc/flip/hub.toml"),
    recommends=("flip-agent-torch",),
    units=("flip-hub.service",),
    enabled=("flip-hub.service",),
    restarted=("flip-hub.service",),
    programs_of=("flwr",),
)
PROGRAMS = {each.name: each for each in (AGENT, HUB)}
TORCH = "flip-agent-torch"
NAMES = (*PROGRAMS, TORCH)
