"""Which versions this device has refused, and why: on the disk before anybody acts on it, bounded, by manifest.

The manifest's hash, not the number: what was refused stays refused under whatever name it comes.
"""

import logging
from pathlib import Path

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from flip_agent.watched import Watched
from flip_runtime.atomic import write_file
from flip_runtime.errors import Unavailable
from flip_wire.models import Sha256

log = logging.getLogger(__name__)

FILE = "refused.json"
MOST = 64
"""Refusals; the oldest that the hub has been told of gives way."""
MOST_REASON = 500
"""Characters."""


class Refusal(Struct, frozen=True, kw_only=True):
    model: str
    version: int
    """0 where its manifest could not be read any more."""
    reason: str
    at: float
    """By the device's clock."""
    to_version: int | None = None
    """It was in service, and this one took its place; None when it never was."""
    told: bool = True
    """Nothing is left to be told: the event of a rollback is in the outbox."""

    @property
    def sentence(self) -> str:
        return self.reason if self.to_version is None else f"rolled back: {self.reason}"


class RefusedFile:
    def __init__(self, folder: Path) -> None:
        """`folder` is the model store's. A damaged file counts as none: the version is judged anew."""
        self._path = folder / FILE
        self.kept = Watched(_read(self._path))
        """Oldest first."""

    def of(self, manifest: Sha256) -> Refusal | None:
        return self.kept.value.get(manifest)

    def add(self, manifest: Sha256, refusal: Refusal) -> None:
        """Raises `Unavailable`, and nothing has changed, when it is not on the disk."""
        bounded = replace(refusal, reason=refusal.reason[:MOST_REASON])
        others = {known: each for known, each in self.kept.value.items() if known != manifest}
        while len(others) >= MOST:
            others.pop(next((known for known, each in others.items() if each.told), next(iter(others))))
        self._save({**others, manifest: bounded})

    def mark_told(self, manifest: Sha256) -> None:
        """Raises `Unavailable` as `add` does."""
        if (known := self.of(manifest)) is not None:
            self._save({**self.kept.value, manifest: replace(known, told=True)})

    def remove(self, manifests: set[Sha256]) -> None:
        """Raises `Unavailable` as `add` does."""
        if manifests & self.kept.value.keys():
            self._save({known: each for known, each in self.kept.value.items() if known not in manifests})

    def _save(self, kept: dict[Sha256, Refusal]) -> None:
        try:
            write_file(self._path, msgspec.json.format(msgspec.json.encode(kept)))
        except OSError as error:
            raise Unavailable(f"cannot write {self._path}: {error.strerror}", hint="make room on the disk") from error
        self.kept.set(kept)


def _read(path: Path) -> dict[Sha256, Refusal]:
    try:
        return msgspec.json.decode(path.read_bytes(), type=dict[Sha256, Refusal])
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:  # also of text that is no UTF-8
        log.warning("refusals are unreadable, each is found anew", extra={"file": str(path), "error": str(error)})
        return {}
