"""Where apps find this device's data: `data` in `federation.node_config`, when it is a path."""

import os
from collections.abc import Callable, Mapping
from pathlib import Path

from flip_agent.health.checks.check import Check
from flip_agent.health.conditions import DATA_MISSING


def data_folder(node_config: Callable[[], Mapping[str, object]]) -> Check:
    def look() -> str:
        path = node_config().get("data")
        if not isinstance(path, str) or not path.startswith("/"):
            return ""
        if not Path(path).exists():
            return f"{path} is not there"
        return "" if os.access(path, os.R_OK) else f"{path} may not be read by this user"

    return Check(DATA_MISSING, look)
