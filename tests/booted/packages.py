"""Packages as `packaging/build` makes them, in the versions that a test needs; some of them broken on purpose."""

import shutil
from pathlib import Path

from booted.image import FOLDER
from booted.shell import run

BROKEN = 'raise RuntimeError("this version was broken on purpose")\n'


class Packages:
    """Made when they are asked for, once for all tests."""

    def __init__(self, sources: Path) -> None:
        self._sources = sources
        self._folder = FOLDER / "packages"
        shutil.rmtree(self._folder, ignore_errors=True)
        self._folder.mkdir(parents=True)

    def built(self, name: str, version: str) -> Path:
        path = self._folder / f"{name}_{version}_amd64.deb"
        if not path.exists():
            options = ("--arch", "amd64", "--version", version, "--fast", "--out", self._folder)
            run(self._sources / "packaging" / "build", name, *options, within=1800)
        return path

    def torch(self) -> Path:
        found = list(self._folder.glob("flip-agent-torch_*.deb"))
        if not found:
            options = ("--arch", "amd64", "--fast", "--out", self._folder)
            run(self._sources / "packaging" / "build", "flip-agent-torch", *options, within=1800)
        (path,) = found or self._folder.glob("flip-agent-torch_*.deb")
        return path

    def repository(self, *packages: Path) -> Path:
        """The folder that is to be served."""
        run(self._sources / "packaging" / "repo", self._folder / "repository", *packages, within=600)
        return self._folder / "repository" / "public"

    def broken(self, version: str, file: str = "flip_agent/daemon.py") -> Path:
        """A flip-agent that ends as soon as it imports that file."""
        path = self._folder / "broken" / f"flip-agent_{version}_amd64.deb"
        if not path.exists():
            path.parent.mkdir(exist_ok=True)
            unpacked = self._folder / "unpacked"
            shutil.rmtree(unpacked, ignore_errors=True)
            run("dpkg-deb", "--raw-extract", self.built("flip-agent", version), unpacked)
            site = unpacked / "opt/flip-agent/versions" / version / "lib/python3.11/site-packages"
            (site / file).write_text(BROKEN)
            run("dpkg-deb", "--root-owner-group", "-Zgzip", "-z1", "--build", unpacked, path, within=600)
            shutil.rmtree(unpacked)
        return path
