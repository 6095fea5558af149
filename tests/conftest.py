"""Fixtures that are real parts: a mongod per test process, folders with short paths, free ports."""

import asyncio
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from flip_demo.mongod import mongod_command
from flip_demo.ports import free_port
from flip_runtime.child import Child, port_open

_MEMORY = Path("/dev/shm")
"""Each test has a registry made for it, of some hundred files: on a disk that takes twice as long."""


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--long", action="store_true", help="five times the kills and damages, and more seeds")


@pytest.fixture(scope="session")
def mongo_url() -> Iterator[str]:
    """A real mongod, one per test process; give each test a database of its own."""
    folder = Path(tempfile.mkdtemp(prefix="flip-mongo-", dir=_MEMORY if _MEMORY.is_dir() else None))
    port = free_port()
    with asyncio.Runner() as runner:
        mongod = Child("mongod", mongod_command(port, folder / "data"), log_file=folder / "log")
        runner.run(mongod.start())
        try:
            runner.run(mongod.wait_until(lambda: port_open(port), within=60))
            yield f"mongodb://127.0.0.1:{port}"
        finally:
            runner.run(mongod.stop())
            shutil.rmtree(folder)


@pytest.fixture
def folder() -> Iterator[Path]:
    """An empty folder whose path is short enough for a Unix socket (pytest's own may not be)."""
    path = Path(tempfile.mkdtemp(prefix="flip-"))
    yield path
    shutil.rmtree(path)


@pytest.fixture
def port() -> int:
    return free_port()
