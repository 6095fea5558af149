"""Machines that boot, packages that they install, and a host without systemd that they run on: one test at a time."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from booted.network import Network
from booted.packages import Packages

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session", autouse=True)
def host() -> None:
    """Names what is missing, before anything else fails because of it."""
    if os.geteuid() != 0:
        pytest.exit("tests/machines boots machines, which only root can do", 2)
    for program in ("systemd-nspawn", "debootstrap", "nft", "ip", "zstd", "dpkg-deb"):
        if shutil.which(program) is None:
            pytest.exit(f"{program} is missing: scripts/setup machines installs it", 2)


@pytest.fixture(scope="session")
def network() -> Iterator[Network]:
    with Network() as network:
        yield network


@pytest.fixture(scope="session")
def packages() -> Packages:
    return Packages(ROOT)
