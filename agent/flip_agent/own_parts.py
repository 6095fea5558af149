"""The local parts that this device has trained: `train` leaves them here, `serve` reads them. One file for each run.

`federation.own_parts_keeper` alone writes. A file is there whole or not at all; what the disk has damaged is found out
by a hash over all that it says. safetensors, with run, round and hash as its metadata.
"""

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from msgspec import Struct
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from flip_runtime.errors import Corrupt

Arrays = Mapping[str, NDArray[Any]]
Stamp = tuple[int, int, int]
"""Of a file: another one has taken its place when it differs."""

FOLDER = "parts"
"""In the state folder."""
SUFFIX = ".safetensors"
_ABOUT = "flip"


class OwnParts(Struct, frozen=True, kw_only=True):
    run_id: str
    round: int
    """After whose training."""
    trained_at: float
    """By the device's clock."""
    arrays: dict[str, NDArray[Any]]


class _About(Struct, frozen=True, kw_only=True):
    run_id: str
    round: int
    trained_at: float
    sha256: str


class OwnPartsFolder:
    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def path(self, run_id: str) -> Path:
        """Named by a hash: the id of a run comes from the hub, and may hold anything."""
        return self._folder / f"{hashlib.sha256(run_id.encode()).hexdigest()[:32]}{SUFFIX}"

    def stamp(self, run_id: str) -> Stamp | None:
        """None where there is no file."""
        try:
            found = self.path(run_id).stat()
        except OSError:
            return None
        return found.st_ino, found.st_size, found.st_mtime_ns

    def read(self, run_id: str) -> OwnParts | None:
        """None where this device has trained nothing of that run. Raises `Corrupt` when the file is damaged, or cannot
        be read."""
        path = self.path(run_id)
        try:
            with safe_open(path, framework="np") as file:
                about = msgspec.json.decode((file.metadata() or {}).get(_ABOUT, ""), type=_About)
                arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  it is no mapping
        except FileNotFoundError:
            return None
        except (SafetensorError, msgspec.DecodeError, OSError, KeyError, ValueError, TypeError) as error:
            raise Corrupt(f"this device's own parts of {run_id[:80]} cannot be read") from error
        if about.run_id != run_id or about.sha256 != _hash_of(about.run_id, about.round, about.trained_at, arrays):
            raise Corrupt(f"this device's own parts of {run_id[:80]} were damaged on its disk")
        return OwnParts(run_id=run_id, round=about.round, trained_at=about.trained_at, arrays=arrays)


def encode_parts(parts: OwnParts) -> bytes:
    """The file's content."""
    arrays = {name: np.require(array, requirements="C") for name, array in parts.arrays.items()}
    about = _About(
        run_id=parts.run_id,
        round=parts.round,
        trained_at=parts.trained_at,
        sha256=_hash_of(parts.run_id, parts.round, parts.trained_at, arrays),
    )
    return save(arrays, metadata={_ABOUT: msgspec.json.encode(about).decode()})


def same_arrays(some: Arrays, others: Arrays) -> bool:
    """Bit for bit."""
    return some.keys() == others.keys() and all(_bytes(some[name]) == _bytes(others[name]) for name in some)


def _hash_of(run_id: str, number: int, trained_at: float, arrays: Arrays) -> str:
    digest = hashlib.sha256(msgspec.json.encode([run_id, number, trained_at]))
    for name in sorted(arrays):
        form, content = _bytes(arrays[name])
        digest.update(msgspec.json.encode([name, form, len(content)]))
        digest.update(content)
    return digest.hexdigest()


def _bytes(array: NDArray[Any]) -> tuple[str, bytes]:
    """What it is, and its content, row-major."""
    return f"{array.dtype.str} {list(array.shape)}", array.tobytes()


def oldest_first(folder: Path) -> list[Path]:
    """The files in it, by when they were written."""
    found: list[tuple[int, Path]] = []
    for path in folder.glob(f"*{SUFFIX}"):
        try:
            found.append((os.stat(path).st_mtime_ns, path))
        except FileNotFoundError:
            continue
    return [path for _, path in sorted(found)]
