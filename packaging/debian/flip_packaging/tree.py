"""The files of a package as they lie on a device, in a folder that nfpm packs."""

import configparser
import gzip
import re
import shutil
from pathlib import Path

from flip_packaging.manual import bash_completion, manual_page
from flip_packaging.package import DEBIAN, PYTHON, ROOT, TORCH, Arch, Program
from flip_packaging.sbom import bill_of_materials
from flip_packaging.wheels import project_version, requirements, site_packages

_CHANGES = """{name} ({version}) stable; urgency=medium

  * What changed for users is in CHANGELOG.md.gz.

 -- FLIP developers <flip@flip.invalid>  Thu, 09 Oct 2025 08:53:20 +0000
"""
"""Debian's form of a changelog; the time is that of all files."""
TORCH_PATH = Path("/opt") / TORCH / "site-packages"


def program_tree(program: Program, version: str, arch: Arch, left_out: list[str], root: Path) -> None:
    """`left_out`: distributions that this program can do without."""
    slot = root / "opt" / program.name / "versions" / version
    site = slot / "lib" / f"python{PYTHON}" / "site-packages"
    shutil.copytree(site_packages(requirements(program.extra), arch, left_out=left_out), site, symlinks=True)
    _own_code(program, version, site)
    (site / f"{TORCH}.pth").write_text(f"{TORCH_PATH}\n")
    _environment(slot)
    for distribution in program.programs_of:
        _commands(site, distribution, slot / "bin")
    share = root / "usr" / "share"
    _write(share / "man" / "man1" / f"{program.name}.1.gz", _gzip(manual_page(program, version)))
    _write(share / "bash-completion" / "completions" / program.name, bash_completion(program).encode())
    _documents(program.name, version, site, root)
    own = DEBIAN / program.name
    _fill(DEBIAN / "scripts" / "launch", root / "usr" / "bin" / program.name, _words(program, version), mode=0o755)
    for script in (
        DEBIAN / "scripts" / "rollback",
        *sorted(path for path in (own / "lib").glob("*") if path.is_file()),
    ):
        _fill(script, root / "usr" / "lib" / program.name / script.name, _words(program, version), mode=0o755)
    for kind in ("sysusers", "tmpfiles"):
        _write(root / "usr" / "lib" / f"{kind}.d" / f"{program.name}.conf", (own / f"{kind}.conf").read_bytes())
    _write(root / program.config.relative_to("/"), (own / program.config.name).read_bytes(), mode=0o640)
    for unit in program.units:
        _write(root / "lib" / "systemd" / "system" / unit, (ROOT / "systemd" / unit).read_bytes())


def torch_tree(arch: Arch, root: Path) -> None:
    """torch and what it needs beyond what the programs have."""
    there = ("numpy", "typing-extensions", "setuptools", "pip")
    shutil.copytree(site_packages(requirements("torch")[-1:], arch, left_out=there), root / TORCH_PATH.relative_to("/"))
    _documents(TORCH, torch_version(), root / TORCH_PATH.relative_to("/"), root)


def torch_version() -> str:
    (pinned,) = [each for each in requirements("torch") if each.startswith("torch==")]
    return pinned.removeprefix("torch==")


def maintainer_script(name: str, program: Program, version: str, folder: Path) -> Path:
    """`postinst`, `prerm` or `postrm`, filled in."""
    path = folder / name
    _fill(DEBIAN / "scripts" / name, path, _words(program, version), mode=0o755)
    return path


def _own_code(program: Program, version: str, site: Path) -> None:
    for package in program.own:
        ignored = shutil.ignore_patterns("__pycache__", "*.pyi", "*.proto")
        shutil.copytree(ROOT / package, site / Path(package).name, ignore=ignored)
    stated = site / "flip_agent" / "version.py"
    if stated.exists():
        stated.write_text(stated.read_text().replace(f'"{project_version()}"', f'"{version}"'))
    info = site / f"flip_edge-{version}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: flip-edge\nVersion: {version}\nLicense: Apache-2.0\n")


def _environment(slot: Path) -> None:
    """What makes a folder a virtual environment of Debian's Python."""
    (slot / "bin").mkdir()
    (slot / "bin" / "python3").symlink_to(f"/usr/bin/python{PYTHON}")
    (slot / "pyvenv.cfg").write_text("home = /usr/bin\ninclude-system-site-packages = false\n")


def _commands(site: Path, distribution: str, folder: Path) -> None:
    """That find their Python beside themselves, wherever the slot is."""
    (points,) = site.glob(f"{distribution}-*.dist-info/entry_points.txt")
    parser = configparser.ConfigParser()
    parser.read(points)
    for name, target in parser["console_scripts"].items():
        module, _, function = target.partition(":")
        code = f"import sys; from {module} import {function}; sys.argv[0] = '{name}'; sys.exit({function}())"
        _write(folder / name, f'#!/bin/sh\nexec "${{0%/*}}/python3" -P -c "{code}" "$@"\n'.encode(), 0o755)


def _documents(name: str, version: str, site: Path, root: Path) -> None:
    documents = root / "usr" / "share" / "doc" / name
    _write(documents / "copyright", (DEBIAN / "copyright").read_bytes())
    _write(documents / "changelog.gz", _gzip(_CHANGES.format(name=name, version=version)))
    _write(documents / "CHANGELOG.md.gz", _gzip((ROOT / "CHANGELOG.md").read_text()))
    _write(documents / "sbom.cdx.json.gz", _gzip(bill_of_materials(name, version, site)))
    overrides = DEBIAN / name / "lintian-overrides"
    _write(root / "usr" / "share" / "lintian" / "overrides" / name, overrides.read_bytes())


def _words(program: Program, version: str) -> dict[str, str]:
    return {
        "NAME": program.name,
        "MODULE": program.module,
        "VERSION": version,
        "USER": program.user,
        "STATE": str(program.state),
        "CONFIG": str(program.config),
        "ENABLED": " ".join(program.enabled),
        "RESTARTED": " ".join(program.restarted),
    }


def _fill(template: Path, path: Path, words: dict[str, str], mode: int) -> None:
    text = re.sub(r"@([A-Z]+)@", lambda found: words[found[1]], template.read_text())
    _write(path, text.encode(), mode)


def _write(path: Path, content: bytes, mode: int = 0o644) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    path.chmod(mode)


def _gzip(text: str) -> bytes:
    return gzip.compress(text.encode(), 9, mtime=0)
