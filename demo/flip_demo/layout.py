"""Where the demo keeps its things, and which ports it uses."""

from dataclasses import dataclass, field
from pathlib import Path

from flip_agent.instances import GRPC_ABOVE
from flip_demo.ports import free_port, is_free
from flip_runtime.errors import ConfigError

DEVICES = ("north", "east", "south")


@dataclass(frozen=True, kw_only=True)
class Ports:
    """By default the ones FLIP is documented with; mongod's is always a free one."""

    hub: int = 8000
    superlink: int = 9091
    fleet: int = 9092
    control: int = 9093
    inference: tuple[int, ...] = (8082, 8083, 8084)
    mongo: int = field(default_factory=free_port)

    @staticmethod
    def free(devices: int = len(DEVICES)) -> "Ports":
        taken: set[int] = set()
        while len(taken) < 4 + devices:
            taken.add(free_port())
        hub, superlink, fleet, control, *inference = taken
        return Ports(hub=hub, superlink=superlink, fleet=fleet, control=control, inference=tuple(inference))

    def check(self) -> None:
        """Raises `ConfigError` naming a port that is taken."""
        uses = {self.hub: "the hub", self.superlink: "the SuperLink", self.fleet: "the Fleet gateway"}
        uses |= {self.control: "the Control port"}
        for port, name in zip(self.inference, DEVICES, strict=False):
            uses |= {port: f"inference on device {name}", port + GRPC_ABOVE: f"its gRPC on device {name}"}
        for port, use in uses.items():
            if not is_free(port):
                raise ConfigError(
                    f"port {port} for {use} is taken", hint="free it, or run scripts/demo --free-ports to use others"
                )


@dataclass(frozen=True)
class Layout:
    """Everything is below one folder, so that `--fresh` is one removal."""

    root: Path

    @property
    def mongo(self) -> Path:
        return self.root / "mongo"

    @property
    def hub(self) -> Path:
        return self.root / "hub"

    @property
    def hub_config(self) -> Path:
        return self.root / "hub.toml"

    @property
    def password(self) -> Path:
        return self.root / "admin-password"

    @property
    def held_back(self) -> Path:
        return self.root / "held-back.npz"

    @property
    def sample(self) -> Path:
        """One held-back image as a request body, for curl."""
        return self.root / "image.json"

    @property
    def lock(self) -> Path:
        return self.root / "lock"

    def device(self, name: str) -> Path:
        return self.root / f"device-{name}"

    def device_config(self, name: str) -> Path:
        return self.root / f"device-{name}.toml"

    def device_data(self, name: str) -> Path:
        return self.root / f"device-{name}.npz"
