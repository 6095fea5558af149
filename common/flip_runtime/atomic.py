"""Files that are there whole or not at all, also after a power cut."""

import os
from collections.abc import Iterable
from pathlib import Path


def write_file(path: Path, content: bytes, *, mode: int = 0o600) -> None:
    """Writes beside it, flushes to the disk, then renames over `path`."""
    write_pieces(path, [content], mode=mode)


def write_pieces(path: Path, pieces: Iterable[bytes], *, mode: int = 0o600) -> None:
    """As `write_file`, of a content that need not be in memory as a whole."""
    part = path.with_name(f".{path.name}.part")
    handle = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    try:
        os.fchmod(handle, mode)
        with open(handle, "wb", closefd=False) as out:
            out.writelines(pieces)
        os.fsync(handle)
    finally:
        os.close(handle)
    os.replace(part, path)
    sync_folder(path.parent)


def replace_link(link: Path, target: str) -> None:
    """Points the symbolic link to `target` in one step."""
    part = link.with_name(f".{link.name}.part")
    part.unlink(missing_ok=True)
    part.symlink_to(target)
    os.replace(part, link)
    sync_folder(link.parent)


def sync_folder(folder: Path) -> None:
    """Makes renames and removals in the folder durable."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
