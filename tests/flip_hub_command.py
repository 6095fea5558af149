"""`flip-hub` as somebody types it, in a process of its own."""

import asyncio
import os
import subprocess
import sys
from pathlib import Path


async def flip_hub(folder: Path, *arguments: str, state: Path | None = None) -> subprocess.CompletedProcess[str]:
    """`folder` keeps the login; `state` is where a hub on this machine is. Without either nobody is logged in."""
    environment = {**os.environ, "XDG_CONFIG_HOME": str(folder / "config")}
    environment.pop("FLIP_HUB__STATE", None)
    if state is not None or not (folder / "config" / "flip" / "session.json").exists():
        environment["FLIP_HUB__STATE"] = str(state or folder / "nothing-here")
    command = [str(Path(sys.executable).with_name("flip-hub")), *arguments]
    return await asyncio.to_thread(
        subprocess.run, command, env=environment, capture_output=True, text=True, timeout=120, check=False
    )
