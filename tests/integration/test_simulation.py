"""The commands of docs/SIMULATION.md, as they stand there, on a port of this test's own."""

import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator
from pathlib import Path

import httpx
import pytest
import ray

from flip_demo.ports import free_port

_REPOSITORY = Path(__file__).parents[2]
_PATIENCE = 300.0
"""Seconds until the SuperLink answers, on a machine with much else to do."""
_LONGEST = 800.0
"""Seconds of a run; Ray's own start takes most of it on a busy machine."""
_TOO_BUSY, _STARTS = "timed out during startup", 3
"""Ray gives a machine 30 s to begin, and has no option for that; the run is then asked for again."""


@pytest.fixture
def port() -> int:
    return free_port()


@pytest.fixture
def environment() -> Generator[dict[str, str]]:
    """With short paths: Ray puts sockets into its folder."""
    with tempfile.TemporaryDirectory(prefix="flip-", ignore_cleanup_errors=True) as folder:
        bin_folder = Path(sys.executable).parent
        yield {
            **{key: value for key, value in os.environ.items() if not key.startswith(("RAY_", "FLWR_"))},
            "PATH": f"{bin_folder}{os.pathsep}{os.environ['PATH']}",
            "FLWR_DISABLE_UPDATE_CHECK": "1",
            "RAY_TMPDIR": folder,
            "SIMULATION": folder,
        }


@pytest.fixture
def superlink(port: int, environment: dict[str, str]) -> Generator[subprocess.Popen[bytes]]:
    log = Path(environment["SIMULATION"]) / "superlink.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            ["bash", "-c", documented("superlink", port)],
            cwd=_REPOSITORY,
            env=environment,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        until = time.monotonic() + _PATIENCE
        while not answers(port):
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < until, log.read_text()
            time.sleep(0.1)
        yield process
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def documented(name: str, port: int) -> str:
    text = (_REPOSITORY / "docs" / "SIMULATION.md").read_text()
    block = re.search(rf"^```sh {name}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    assert block is not None, f"docs/SIMULATION.md has no commands called {name}"
    assert "9095" in text
    return block[1].replace("9095", str(port)).replace("$PWD/.simulation", "$SIMULATION/flower")


def answers(port: int) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/health", timeout=2.0).is_success
    except httpx.HTTPError:
        return False


@pytest.mark.usefixtures("superlink")
def test_the_documented_commands_teach_simulated_devices_the_digits(port: int, environment: dict[str, str]) -> None:
    said = ""
    for _ in range(_STARTS):
        run = subprocess.run(
            ["bash", "-c", documented("run", port)],
            cwd=_REPOSITORY,
            env=environment,
            capture_output=True,
            text=True,
            timeout=_LONGEST,
        )
        said = run.stdout + run.stderr
        if _TOO_BUSY not in said:
            break
    end = re.search(r"20 devices, 20 steps: accuracy (0\.\d+)", said)
    assert end is not None, said
    assert float(end[1]) > 0.4  # chance is 0.1; which updates meet in a step is not the same in any two runs


def test_the_constraints_name_the_ray_that_flower_asks_for() -> None:
    constraints = (_REPOSITORY / "constraints.txt").read_text().splitlines()
    assert f"ray=={ray.__version__}" in constraints
