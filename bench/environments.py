"""A peer's own Python environment: made once below `.cache/bench-peers`, and anew when its requirements change."""

import hashlib
import os
import shutil
import sys
from pathlib import Path

from bench.progress import say
from flip_demo.processes import run_to_end

PEERS = Path(__file__).parent / "peers"
_PROGRAMS = Path(sys.executable).parent
_FOLDER = Path(__file__).parents[1] / ".cache" / "bench-peers"
_WITHIN = 900.0
"""Seconds: 150 MB come over the network."""


async def environment(peer: str, folder: Path) -> Path:
    """The folder with its programs; logs go to `folder`. Raises `ConfigError` when it cannot be made."""
    requirements, home = PEERS / f"{peer}.txt", _FOLDER / peer
    made, wanted = home / "made-from", hashlib.sha256(requirements.read_bytes()).hexdigest()
    if not made.exists() or made.read_text() != wanted:
        say(f"making an environment for {peer} in {home.relative_to(_FOLDER.parents[1])}")
        shutil.rmtree(home, ignore_errors=True)
        home.parent.mkdir(parents=True, exist_ok=True)
        await _uv(peer, ["venv", "--python", sys.executable, str(home)], folder)
        python = str(home / "bin" / "python")
        await _uv(peer, ["pip", "install", "--python", python, "--no-deps", "-r", str(requirements)], folder)
        made.write_text(wanted)
    return home / "bin"


async def _uv(peer: str, arguments: list[str], folder: Path) -> None:
    certificates = os.environ.get("SSL_CERT_FILE") or os.environ.get("PIP_CERT", "")
    environment = {"SSL_CERT_FILE": certificates} if certificates else {}
    command = [str(_PROGRAMS / "uv"), *arguments]
    await run_to_end(f"uv-{peer}", command, folder, within=_WITHIN, environment=environment)
