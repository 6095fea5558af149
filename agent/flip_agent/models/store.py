"""Model files on the device, by their hash. What `active` names was verified whole; a power cut leaves the earlier one.

`run` alone writes; `serve` reads. Layout: `blobs/SHA256` (manifests and their files), and per model the symbolic links
`MODEL/active` and `MODEL/previous` to a manifest's blob.
"""

import hashlib
import os
import re
from pathlib import Path

import msgspec

from flip_runtime.atomic import replace_link, sync_folder
from flip_runtime.errors import Corrupt, Rejected
from flip_wire.models import Manifest, ModelAssignment, Sha256, decode_manifest

_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_CHUNK = 2**20


class ModelStore:
    def __init__(self, root: Path) -> None:
        self._root = root
        self._blobs = root / "blobs"

    def create(self) -> None:
        self._blobs.mkdir(parents=True, exist_ok=True, mode=0o700)

    # ---- reading ----

    def blob(self, sha256: Sha256) -> Path:
        """Where it lies, or would. Raises `Rejected` for a name that is no hash: it would lead elsewhere."""
        if not _SHA256.fullmatch(sha256):
            raise Rejected(f"{sha256[:80]!r} is no SHA-256", hint="64 lower-case hexadecimal digits")
        return self._blobs / sha256

    def holds(self, sha256: Sha256) -> bool:
        return self.blob(sha256).exists()

    def verify(self, sha256: Sha256) -> None:
        """Reads the whole file. Raises `Corrupt` when it is missing or its hash differs."""
        if (found := _hash_of(self.blob(sha256))) != sha256:
            raise Corrupt(f"model file {sha256[:12]} has hash {found[:12]}", hint="it is fetched again from the hub")

    def manifest(self, sha256: Sha256) -> Manifest:
        """Verified. Raises `Corrupt` when damaged, `Rejected` when this agent cannot read its format."""
        self.verify(sha256)
        try:
            return decode_manifest(self.blob(sha256).read_bytes())
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise Rejected(f"manifest {sha256[:12]}: {error}", hint="update the agent") from error

    def models(self) -> list[str]:
        """Names of the models that have an active version."""
        return sorted(link.parent.name for link in self._root.glob("*/active"))

    def active(self, model: str) -> Sha256 | None:
        return self._target(model, "active")

    def previous(self, model: str) -> Sha256 | None:
        """None when there was none before the active one, or the active one is it."""
        previous = self._target(model, "previous")
        return None if previous == self.active(model) else previous

    def knows(self, assignment: ModelAssignment) -> bool:
        """Whether it is, or was before, the active version: nothing new."""
        return assignment.manifest in (self.active(assignment.model), self.previous(assignment.model))

    # ---- writing ----

    def part(self, sha256: Sha256) -> Path:
        """Where an unfinished download lies; it is resumed from its length."""
        return self.blob(sha256).with_suffix(".part")

    def admit(self, sha256: Sha256) -> None:
        """Makes a finished download a blob. Raises `Corrupt`, and drops the file, when its hash differs."""
        part = self.part(sha256)
        if (found := _hash_of(part)) != sha256:
            part.unlink(missing_ok=True)
            raise Corrupt(f"download {sha256[:12]} has hash {found[:12]}", hint="it is fetched again from the hub")
        with part.open("rb") as written:
            os.fsync(written.fileno())
        part.rename(self.blob(sha256))
        sync_folder(self._blobs)

    def activate(self, model: str, manifest: Sha256) -> None:
        """Makes it the active version; the one before becomes `previous`. That link goes first: a power cut between
        the two leaves the earlier version active, and none before it, until the swap is made again."""
        folder = self._folder(model)
        folder.mkdir(exist_ok=True, mode=0o700)
        before = self.active(model)
        if before == manifest:
            return
        if before is not None:
            replace_link(folder / "previous", f"../blobs/{before}")
        replace_link(folder / "active", f"../blobs/{manifest}")

    def roll_back(self, model: str, given_up: Sha256) -> None:
        """Makes the version before it the active one, if that one is active, and there is one before. One link is
        replaced, so no power cut can come between; `previous` then names the active version, which counts as none."""
        before = self.previous(model)
        if before is not None and self.active(model) == given_up:
            replace_link(self._folder(model) / "active", f"../blobs/{before}")

    def collect(self, keep: set[Sha256]) -> int:
        """Removes blobs that neither an active or previous version nor `keep` (hashes of manifests) names.

        Returns the bytes freed. Raises `Corrupt` or `Rejected`, and removes nothing, when one of those manifests cannot
        be read: any file may be its own.
        """
        used = set(keep)
        for model in self.models():
            used |= {sha256 for sha256 in (self.active(model), self.previous(model)) if sha256}
        for sha256 in list(used):
            if self.holds(sha256):
                used |= {file.sha256 for file in self.manifest(sha256).files}
        freed = 0
        for path in self._blobs.iterdir():
            if path.name.removesuffix(".part") not in used:
                freed += path.stat().st_size
                path.unlink()
        return freed

    def _target(self, model: str, link: str) -> Sha256 | None:
        path = self._folder(model) / link
        return Sha256(path.readlink().name) if path.is_symlink() else None

    def _folder(self, model: str) -> Path:
        if not _NAME.fullmatch(model) or model == "blobs":
            raise Rejected(f"model name {model!r}", hint="lower-case letters, digits, '.', '_' and '-', at most 64")
        return self._root / model


def _hash_of(path: Path) -> str:
    digest = hashlib.sha256()
    try:
        with path.open("rb") as file:
            while chunk := file.read(_CHUNK):
                digest.update(chunk)
    except FileNotFoundError:
        return "none: the file is missing"
    return digest.hexdigest()
