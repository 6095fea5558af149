"""Debian's Chromium, and what is asked of every page that it shows."""

import shutil
from pathlib import Path
from typing import Any

from flip_runtime.errors import Unavailable

ROOT = Path(__file__).parents[1]
CHROMIUM_ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
LEVELS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
AXE_RUN = f"axe.run(document, {{runOnly: {LEVELS}, resultTypes: ['violations']}})"


def chromium() -> str:
    """Raises `Unavailable`."""
    path = shutil.which("chromium")
    if path is None:
        raise Unavailable("chromium is missing", hint="scripts/setup test installs it")
    return path


def axe_loaded() -> str:
    """A script that brings axe into a page, once."""
    axe = (ROOT / "hub-ui" / "node_modules" / "axe-core" / "axe.min.js").read_text()
    return f"window.axe ?? (() => {{ {axe} }})()"


def violations(found: dict[str, Any]) -> list[str]:
    return [
        f"{violation['id']}: {node['html'][:160]} {node['failureSummary'][:300]}"
        for violation in found["violations"]
        for node in violation["nodes"]
    ]
