"""The agent's version, as the hub is told. `importlib.metadata` knows it too, but costs `run` 3 MiB."""

from typing import Final

AGENT_VERSION: Final = "0.1.0"
