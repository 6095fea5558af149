"""A disk that is really full: a small tmpfs, and somebody who takes every byte of it."""

import contextlib
import os
import subprocess
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pytest


@contextmanager
def small_disk(place: Path, size: int, *, inodes: int | None = None) -> Generator[Path]:
    """Of so many bytes (and inodes), mounted there. Only root may mount: anybody else skips the test. It fails where
    root may not either: a suite that says that it passed has filled a disk."""
    if os.geteuid() != 0:
        pytest.skip("only root may mount the small disk that this test fills up")
    place.mkdir(parents=True)
    options = f"size={size}" if inodes is None else f"size={size},nr_inodes={inodes}"
    mount = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(place)]
    mounted = subprocess.run(mount, capture_output=True, text=True, check=False)
    if mounted.returncode:
        pytest.fail(f"root may not mount a small disk here: {mounted.stderr.strip()}")
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
