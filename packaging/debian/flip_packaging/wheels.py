"""Other people's packages, from wheels alone: so any machine builds for any architecture."""

import hashlib
import os
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Sequence
from pathlib import Path

from flip_packaging.package import PYTHON, ROOT, Arch
from flip_packaging.slim import slim

CACHE = ROOT / "build" / "wheels"


def requirements(extra: str) -> list[str]:
    """Of pyproject.toml, with those that every part needs."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return [*project["dependencies"], *project["optional-dependencies"][extra]]


def project_version() -> str:
    return tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]


def site_packages(wanted: Sequence[str], arch: Arch, *, left_out: Sequence[str] = ()) -> Path:
    """A folder with what is wanted and all that it needs, slimmed down; made once for what it is made of.

    `left_out`: distributions that another package brings.
    """
    content = [*wanted, *left_out, arch.platform, (ROOT / "constraints.txt").read_text()]
    content += [path.read_text() for path in sorted(Path(__file__).parent.glob("*.py"))]
    key = hashlib.sha256("\n".join(content).encode()).hexdigest()[:16]
    folder = CACHE / f"{arch.debian}-{key}"
    if not folder.exists():
        unfinished = folder.with_suffix(".unfinished")
        shutil.rmtree(unfinished, ignore_errors=True)
        _install(wanted, arch, unfinished)
        slim(unfinished, left_out)
        unfinished.replace(folder)
    return folder


def _install(wanted: Sequence[str], arch: Arch, target: Path) -> None:
    environment = {**os.environ, "UV_NO_PROGRESS": "1"}
    if "SSL_CERT_FILE" not in environment and (authority := environment.get("PIP_CERT")):
        environment["SSL_CERT_FILE"] = authority
    links = ["--find-links", found] if (found := environment.get("PIP_FIND_LINKS")) else []
    if index := environment.get("FLIP_TORCH_INDEX"):
        links += ["--extra-index-url", index, "--index-strategy", "unsafe-best-match"]
    command = [
        *(str(Path(sys.executable).with_name("uv")), "pip", "install", "--quiet", "--no-compile", *links),
        *("--constraint", str(ROOT / "constraints.txt"), "--target", str(target)),
        *("--python-version", PYTHON, "--python-platform", arch.platform, "--only-binary", ":all:"),
        *wanted,
    ]
    subprocess.run(command, check=True, env=environment)
