"""A disk that is really full: a small tmpfs, and somebody who takes every byte of it."""

import contextlib
import os
import subprocess
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pytest


@contextmanager
def small_disk(place: Path, size: int) -> Generator[Path]:
    """`size` bytes, mounted there. Skips the test where that is not allowed."""
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(place)]
    mounted = subprocess.run(mount, capture_output=True, text=True, check=False)
    if mounted.returncode:
        pytest.skip(f"no tmpfs may be mounted here: {mounted.stderr.strip()}")
    try:
        yield place
    finally:
        subprocess.run(["umount", "--lazy", str(place)], check=True)


def fill(disk: Path) -> Path:
    """Takes every byte that is left; again, what has been freed since."""
    greedy = disk / "somebody-else"
    handle = os.open(greedy, os.O_CREAT | os.O_WRONLY | os.O_APPEND)
    for size in (2**16, 2**12):
        with contextlib.suppress(OSError):
            while os.write(handle, bytes(size)):
                pass
    os.close(handle)
    return greedy
