"""A full disk: room for the outbox at its largest, a session and a model; and what the agent can do without."""

import os
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from flip_agent.health.checks.check import Check
from flip_agent.health.conditions import DISK_LOW, INODES_LOW

RESERVE = 256 * 2**20
"""Bytes."""
_FILES_RESERVE = 0.02
"""Of the files that the file system can hold."""


def disk_space(state: Path, collect_models: Callable[[], int]) -> Check:
    """`collect_models` removes the files of versions that nobody needs, and gives their bytes."""
    return Check(DISK_LOW, partial(_little_space, state), partial(free_space, state, collect_models))


def inodes(state: Path, collect_models: Callable[[], int]) -> Check:
    return Check(INODES_LOW, partial(_few_inodes, state), partial(free_space, state, collect_models))


def free_bytes(state: Path) -> int:
    disk = os.statvfs(state)
    return disk.f_bavail * disk.f_frsize


def free_space(state: Path, collect_models: Callable[[], int]) -> str:
    """Old logs, databases kept aside beyond the newest, model files that no version needs."""
    logs = _remove(sorted((state / "logs").glob("*.log.1")))
    aside = _remove(_older_damaged(state))
    models = collect_models()
    freed = [("old logs", logs), ("damaged databases", aside), ("model files", models)]
    return ", ".join(f"{what} removed ({size / 2**20:.1f} MiB)" for what, size in freed if size)


def _little_space(state: Path) -> str:
    free = free_bytes(state)
    return f"{free // 2**20} MiB free where the agent keeps its state" if free < RESERVE else ""


def _few_inodes(state: Path) -> str:
    disk = os.statvfs(state)
    # some file systems (btrfs) count none
    few = disk.f_files > 0 and disk.f_favail < _FILES_RESERVE * disk.f_files
    return f"{disk.f_favail} more files fit where the agent keeps its state" if few else ""


def _older_damaged(state: Path) -> Iterator[Path]:
    """All that were kept aside, but the newest of each database with its log."""
    newest: dict[str, Path] = {}
    paths = sorted(state.glob("*.damaged*"), key=lambda path: (path.stat().st_mtime_ns, path.name))
    for path in paths:
        newest[path.name.partition(".damaged")[0]] = _database(path)
    yield from (path for path in paths if _database(path) not in newest.values())


def _database(path: Path) -> Path:
    return path.with_name(path.name.removesuffix("-wal").removesuffix("-shm"))


def _remove(paths: Iterator[Path] | list[Path]) -> int:
    """Gives the bytes freed."""
    freed = 0
    for path in paths:
        freed += path.stat().st_size
        path.unlink()
    return freed
