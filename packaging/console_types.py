"""Writes the hub's OpenAPI to hub-ui and makes the console's types from it; `--check` fails when they are stale."""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, Final

import msgspec
from build_console import UI, install, npm

from flip_hub.api.describe import described
from flip_hub.app import create_app
from flip_hub.core import ROUTES, build_core
from flip_hub.credentials import make_credentials
from flip_hub.daemon import FEDERATION_ROUTES
from flip_hub.mongo import Mongo
from flip_hub.settings import HubSection, Settings

OPENAPI: Final = UI / "openapi.json"
FEDERATION_SERVICES: Final = dict.fromkeys(
    (
        *("models", "deltas", "rollouts", "artifacts", "apps", "runs", "log_events", "foldable", "late", "run_spans"),
        *("receipts", "run_contributions", "reports", "participants", "lineage", "health", "system"),
    )
)
"""Handlers ask for them; nobody calls a handler here."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true")
    check: bool = parser.parse_args().check
    # a default may be a Struct
    wanted = json.dumps(hub_document(), indent=1, sort_keys=True, default=msgspec.to_builtins) + "\n"
    install()
    if not check:
        OPENAPI.write_text(wanted)
        npm("run", "--silent", "types")
        return 0
    try:
        if OPENAPI.read_text() != wanted:
            raise ValueError
        npm("run", "--silent", "types", "--", "--check")
    except (OSError, ValueError, subprocess.CalledProcessError):
        print("console: hub-ui's API types are stale; scripts/console-types renews them", file=sys.stderr)
        return 1
    return 0


def hub_document() -> dict[str, Any]:
    """As `GET /api/docs/openapi.json` answers it; starts nothing and connects to nothing."""
    with tempfile.TemporaryDirectory() as state:
        settings = Settings(hub=HubSection(state=Path(state)))
        make_credentials(settings)
        mongo = Mongo(settings.mongo)
        core = build_core(settings, mongo.database)
        services = {**core.services, **FEDERATION_SERVICES}
        app = create_app([*ROUTES, *FEDERATION_ROUTES], services, access=core.access, prepared=mongo.prepared)
        mongo.close()
    return described(app)


if __name__ == "__main__":
    sys.exit(main())
