"""`packaging/repo`: a signed apt repository that keeps every version, so that devices can also go back.

`FOLDER/public` is what is served, by `flip-hub` (`updates.repository`) or any web server; `FOLDER/key` is who signs,
and must stay where it is. An index is replaced as a whole: a device that reads while packages are added gets the old
one or the new one, whose files it names by their hashes.
"""

import argparse
import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from flip_packaging.package import ARCHES

SUITE = "stable"
KEYRING = "flip-archive-keyring"
_SIGNER = "FLIP packages <packages@flip.invalid>"
_RELEASE = {
    "Origin": "FLIP",
    "Label": "FLIP",
    "Suite": SUITE,
    "Codename": SUITE,
    "Components": "main",
    "Architectures": " ".join(ARCHES),
    "Acquire-By-Hash": "yes",
}


class Refused(Exception):
    """In words for people."""


class Repository:
    def __init__(self, folder: Path) -> None:
        self.public = folder / "public"
        self._key = folder / "key"

    def add(self, packages: Sequence[Path]) -> list[str]:
        """What is there now, as lines for people. Raises `Refused`."""
        for package in packages:
            self._check(package)
        self._make_key()
        for package in packages:
            target = self._place(package)
            target.parent.mkdir(parents=True, exist_ok=True)
            unfinished = target.with_suffix(".unfinished")
            shutil.copyfile(package, unfinished)
            unfinished.replace(target)
        self._write_index()
        return [path.name.removesuffix(".deb") for path in sorted(self.public.glob("pool/**/*.deb"))]

    def _check(self, package: Path) -> None:
        if not package.is_file():
            raise Refused(f"no package {package}")
        target = self._place(package)
        if target.exists() and target.read_bytes() != package.read_bytes():
            raise Refused(
                f"{target.name} is there already, with other content: a version never changes, make a new one"
            )

    def _place(self, package: Path) -> Path:
        fields = [_field(package, name) for name in ("Package", "Version", "Architecture")]
        return self.public / "pool" / "main" / fields[0] / f"{'_'.join(fields)}.deb"

    def _make_key(self) -> None:
        self._key.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.public.mkdir(parents=True, exist_ok=True)
        if not self._gpg("--list-secret-keys", "--with-colons").stdout:
            self._gpg("--passphrase", "", "--quick-generate-key", _SIGNER, "ed25519", "sign", "never")
        (self.public / f"{KEYRING}.gpg").write_bytes(self._gpg("--export").stdout)
        (self.public / f"{KEYRING}.asc").write_bytes(self._gpg("--armor", "--export").stdout)

    def _write_index(self) -> None:
        dist = self.public / "dists" / SUITE
        for arch in ARCHES:
            folder = dist / "main" / f"binary-{arch}"
            folder.mkdir(parents=True, exist_ok=True)
            packages = _run(["apt-ftparchive", "--arch", arch, "packages", "pool"], self.public)
            _put_by_hash(folder, "Packages", packages)
            _put_by_hash(folder, "Packages.xz", _run(["xz", "-9", "--stdout"], self.public, given=packages))
        options = [f"-oAPT::FTPArchive::Release::{name}={value}" for name, value in _RELEASE.items()]
        release = _run(["apt-ftparchive", *options, "release", str(dist.relative_to(self.public))], self.public)
        _put(dist / "InRelease", self._gpg("--clearsign", given=release).stdout)

    def _gpg(self, *options: str, given: bytes | None = None) -> subprocess.CompletedProcess[bytes]:
        command = ["gpg", "--batch", "--quiet", "--homedir", str(self._key), *options]
        return subprocess.run(command, input=given, stdout=subprocess.PIPE, check=True)


def _put_by_hash(folder: Path, name: str, content: bytes) -> None:
    """The two newest are kept by their hashes, for who reads an index that is being replaced."""
    hashes = folder / "by-hash" / "SHA256"
    hashes.mkdir(parents=True, exist_ok=True)
    _put(hashes / hashlib.sha256(content).hexdigest(), content)
    _put(folder / name, content)
    for old in sorted(hashes.iterdir(), key=lambda path: path.stat().st_mtime_ns)[:-6]:
        old.unlink()


def _put(path: Path, content: bytes) -> None:
    unfinished = path.with_name(f".{path.name}.unfinished")
    unfinished.write_bytes(content)
    unfinished.replace(path)


def _field(package: Path, name: str) -> str:
    try:
        return _run(["dpkg-deb", "--field", str(package), name], Path.cwd()).decode().strip()
    except subprocess.CalledProcessError as error:
        raise Refused(f"{package} is no Debian package") from error


def _run(command: Sequence[str], folder: Path, given: bytes | None = None) -> bytes:
    return subprocess.run(command, cwd=folder, input=given, stdout=subprocess.PIPE, check=True).stdout


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="packaging/repo", description="Puts packages into a signed apt repository, which keeps every version."
    )
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="FOLDER/public is what is to be served")
    parser.add_argument("packages", nargs="+", type=Path, metavar="PACKAGE.deb")
    options = parser.parse_args()
    os.umask(0o022)
    try:
        there = Repository(options.folder.absolute()).add([path.absolute() for path in options.packages])
    except Refused as error:
        print(f"packaging/repo: {error}", file=sys.stderr)
        return 1
    except subprocess.CalledProcessError as error:
        print(f"packaging/repo: {error.cmd[0]} failed: see above", file=sys.stderr)
        return 1
    print("\n".join(there))
    return 0


if __name__ == "__main__":
    sys.exit(main())
