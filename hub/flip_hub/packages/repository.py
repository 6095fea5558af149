"""The apt repository (`packaging/repo`) that the hub hands out to devices, as it lies in a folder."""

from pathlib import Path

from flip_runtime.errors import ConfigError

KEY = "flip-archive-keyring.asc"


class Repository:
    def __init__(self, folder: Path | None) -> None:
        """None: there is none. Raises `ConfigError` for a folder that is no repository."""
        self._folder = None if folder is None else folder.resolve()
        if self._folder is not None and not (self._folder / KEY).is_file():
            hint = "packaging/repo makes one: name its folder `public`"
            raise ConfigError(f"updates.repository {folder} is no repository: it has no {KEY}", hint=hint)

    @property
    def key(self) -> str:
        """That has signed it, in ASCII; empty where there is no repository."""
        return "" if self._folder is None else (self._folder / KEY).read_text(encoding="ascii").strip()

    def find(self, path: str) -> Path | None:
        """A file of it; nothing outside of it, whatever the path or a link says."""
        if self._folder is None:
            return None
        try:
            found = (self._folder / path.lstrip("/")).resolve(strict=True)
        except (OSError, ValueError):
            return None
        return found if found.is_file() and self._folder in found.parents else None
