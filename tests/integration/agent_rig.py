"""Real `flip-agent` processes, and how a test waits for them."""

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path

import msgspec
from fake_hub import TOKEN, FakeHub

from flip_agent.local.messages import Status
from flip_agent.status import ask_status
from flip_runtime.errors import Unavailable


class Agent:
    """A device with a state folder of its own."""

    def __init__(self, folder: Path, **agent: object) -> None:
        self.state = Path(str(agent.get("state", folder / "state")))
        self.config = folder / "agent.toml"
        self.log = folder / "log"
        values = {"supervise": False, "heartbeat": 3600, **agent, "state": str(self.state)}
        lines = [f"{key} = {msgspec.json.encode(value).decode()}" for key, value in values.items()]
        self.config.write_text("\n".join(["[agent]", *lines, ""]))

    def configure(self, section: str, **values: object) -> None:
        """Adds a section to its `agent.toml`."""
        lines = [f"{key} = {msgspec.json.encode(value).decode()}" for key, value in values.items()]
        with self.config.open("a") as config:
            config.write("\n".join([f"[{section}]", *lines, ""]))

    @property
    def run_socket(self) -> Path:
        return self.state / "run" / "agent.sock"

    def command(self, name: str, *arguments: str) -> list[str]:
        return [sys.executable, "-m", "flip_agent", name, "--config", str(self.config), *arguments]

    def call(self, name: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(self.command(name, *arguments), capture_output=True, text=True, timeout=60)

    def enrol(self, hub: FakeHub) -> None:
        done = self.call("enrol", hub.url, "--token", TOKEN)
        assert done.returncode == 0, done.stderr

    @contextmanager
    def running(self, *, script: str = 'exec "$@"', **environment: str) -> Generator[subprocess.Popen[bytes]]:
        """Killed at the end, if it still runs; its children go with it. `script` of a shell begins it."""
        environment = {**os.environ, "PYTHONUNBUFFERED": "1", **environment}
        command = ["/bin/sh", "-c", script, "sh", *self.command("run")]
        with self.log.open("ab") as log:
            process = subprocess.Popen(command, stdout=log, stderr=log, env=environment)
        try:
            yield process
        finally:
            process.kill()
            process.wait()

    def status(self) -> Status | None:
        try:
            return ask_status(self.run_socket)
        except Unavailable:
            return None


def until(condition: Callable[[], object], within: float = 30.0) -> None:
    deadline = time.monotonic() + within
    while not condition():
        assert time.monotonic() < deadline, "the condition did not come true"
        time.sleep(0.02)


async def eventually(condition: Callable[[], object], within: float = 20.0) -> None:
    async with asyncio.timeout(within):
        while not condition():
            await asyncio.sleep(0.01)
