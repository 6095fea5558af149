"""The instances of `flip-agent serve` that a device runs: each with a port and models of its own.

Each model is held by exactly one of them. Without section `inference.instances` there is one, which holds all.
"""

import re

from msgspec.structs import replace

from flip_agent.settings import InferenceSection
from flip_runtime.errors import ConfigError

DEFAULT = "default"
"""The instance where the settings name none."""
GRPC_ABOVE = 1000
"""The gRPC port of an instance is so much higher than its HTTP port."""

_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,31}")


class Instances:
    def __init__(self, settings: InferenceSection) -> None:
        """Raises `ConfigError`."""
        self._settings = settings
        self._holders: dict[str, str] = {}
        self._rest = DEFAULT
        """The one that holds what no other names."""
        if settings.instances:
            self._check_names()
            self._check_ports()
            self._share_models()

    @property
    def names(self) -> list[str]:
        return list(self._settings.instances) or [DEFAULT]

    def holder(self, model: str) -> str:
        return self._holders.get(model, self._rest)

    def settings(self, name: str) -> InferenceSection:
        """Those that hold for that instance. Raises `ConfigError`."""
        if name not in self.names:
            raise ConfigError(f"no instance '{name}'", hint=f"inference.instances has {self.names}")
        chosen = self._settings.instances.get(name)
        return self._settings if chosen is None else replace(self._settings, port=chosen.port)

    def _check_names(self) -> None:
        for name in self._settings.instances:
            if not _NAME.fullmatch(name):
                hint = "lower-case letters, digits and '-', at most 32"
                raise ConfigError(f"inference.instances: '{name}' is no name of an instance", hint=hint)

    def _check_ports(self) -> None:
        owners: dict[int, str] = {}
        for name, instance in self._settings.instances.items():
            for port in (instance.port, instance.port + GRPC_ABOVE):
                if (other := owners.setdefault(port, name)) != name:
                    hint = f"each takes its port, and for gRPC the one {GRPC_ABOVE} above"
                    raise ConfigError(f"inference.instances: '{other}' and '{name}' share port {port}", hint=hint)

    def _share_models(self) -> None:
        for name, instance in self._settings.instances.items():
            for model in instance.models:
                if (other := self._holders.setdefault(model, name)) != name:
                    hint = "let one of them hold it"
                    raise ConfigError(f"inference.instances: '{other}' and '{name}' name model '{model}'", hint=hint)
        rest = [name for name, instance in self._settings.instances.items() if not instance.models]
        if len(rest) != 1:
            hint = "leave the models of exactly one instance out: it holds those that no other names"
            raise ConfigError(f"inference.instances: {rest or 'none'} would hold the models without a name", hint=hint)
        (self._rest,) = rest
