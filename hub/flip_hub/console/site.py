"""The console's files, read once and held in memory: a path that was not there at the start does not exist."""

import hashlib
import mimetypes
from pathlib import Path

from msgspec import Struct

STATIC = Path(__file__).parent / "static"
"""Where the build puts them."""
INDEX = "index.html"
_FOREVER = "public, max-age=31536000, immutable"
_ASK_FIRST = "no-cache"


class Page(Struct, frozen=True, kw_only=True):
    content: bytes
    gzipped: bytes | None
    """Where the build made one beside it."""
    media_type: str
    etag: str
    cache: str
    """`Cache-Control`: the build puts a hash into the names below `assets/`."""


class Site:
    """Finds the page for a path; a path of the console's own router gets its index."""

    def __init__(self, folder: Path = STATIC) -> None:
        files = [file for file in folder.rglob("*") if file.is_file()] if folder.is_dir() else []
        self._pages = {file.relative_to(folder).as_posix(): _page(folder, file) for file in files}

    @property
    def built(self) -> bool:
        return INDEX in self._pages

    def find(self, path: str) -> Page | None:
        """None for a file that does not exist, and for everything while the console is not built."""
        name = path.strip("/") or INDEX
        page = self._pages.get(name)
        if page is None and "." not in name.rsplit("/", 1)[-1]:
            return self._pages.get(INDEX)
        return page


def _page(folder: Path, file: Path) -> Page:
    content = file.read_bytes()
    packed = file.with_name(f"{file.name}.gz")
    hashed = file.relative_to(folder).parts[0] == "assets"
    return Page(
        content=content,
        gzipped=packed.read_bytes() if packed.is_file() else None,
        media_type=mimetypes.guess_type(file.name)[0] or "application/octet-stream",
        etag=f'"{hashlib.sha256(content).hexdigest()[:32]}"',
        cache=_FOREVER if hashed else _ASK_FIRST,
    )
