"""wrk, a load client in C: the same one drives all sides, and takes little of the cores that they share with it."""

import asyncio
import os
import shutil
from collections.abc import Mapping
from pathlib import Path

import msgspec
from msgspec import Struct

from bench.progress import say
from flip_demo.processes import run_to_end
from flip_runtime.errors import ConfigError, Unavailable

_SCRIPT = Path(__file__).with_name("wrk.lua")
_INSTALL = "apt-get update -qq && apt-get install -y -qq --no-install-recommends wrk"
_PATIENCE = 10
"""Seconds after which a request counts as failed."""


class Post(Struct, frozen=True):
    """A request that is made over and over."""

    url: str
    body: Path
    json: int | None = None
    """Bytes of JSON before its binary tensors; None when all of it is JSON."""
    first: Mapping[str, float] = {}
    """The first number that each version answers, where answers are to be checked."""


class Load(Struct, frozen=True):
    requests: int
    seconds: float
    p99: float
    """Seconds."""
    failed: int
    """Not connected, not answered, or not with 200."""
    wrong: int
    """Answers that are not what the version answers that they name."""

    @property
    def per_second(self) -> float:
        return self.requests / self.seconds


async def installed(folder: Path) -> None:
    """Installs it as root. Raises `ConfigError` with the command for others."""
    if shutil.which("wrk"):
        return
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        raise ConfigError("wrk is missing", hint=f"run as root: {_INSTALL}")
    say("installing Debian's package wrk")
    quiet = {"DEBIAN_FRONTEND": "noninteractive"}
    await run_to_end("apt-wrk", ["sh", "-c", _INSTALL], folder, within=300, environment=quiet)


async def load(post: Post, connections: int, seconds: int) -> Load:
    """Each connection has one request under way at any time."""
    options = [f"--connections={connections}", f"--duration={seconds}s", f"--timeout={_PATIENCE}s", "--threads=1"]
    checks = [f"{version}={first}" for version, first in post.first.items()]
    arguments = [str(post.body), "json" if post.json is None else str(post.json), *checks]
    command = ["wrk", *options, "--latency", "--script", str(_SCRIPT), post.url, "--", *arguments]
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    try:
        async with asyncio.timeout(seconds + 2 * _PATIENCE):
            out, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    lines = out.splitlines()
    if process.returncode != 0 or not lines:
        raise Unavailable(f"wrk ended with status {process.returncode}")
    return msgspec.json.decode(lines[-1], type=Load)
