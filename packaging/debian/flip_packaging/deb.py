"""Packs a tree as a Debian package with nfpm."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from flip_packaging.package import PYTHON, TORCH, Arch, Program
from flip_packaging.slim import ON_DEVICES
from flip_packaging.tree import maintainer_script, program_tree, torch_tree, torch_version

_EPOCH = "1760000000"
"""Seconds; the time of all files: the same sources make the same package."""
_PYTHONS = [f"python3 (>= {PYTHON})", f"python3 (<< 3.{int(PYTHON.split('.')[1]) + 1})", "libc6 (>= 2.36)"]
_MAINTAINER = "FLIP developers <flip@flip.invalid>"


def pack_program(program: Program, version: str, arch: Arch, stage: Path, out: Path, fast: bool) -> Path:
    left_out = [*ON_DEVICES] if program.extra == "agent" else []
    tree = stage / "tree"
    program_tree(program, version, arch, left_out, tree)
    scripts = {
        key: str(maintainer_script(name, program, version, stage))
        for key, name in (("postinstall", "postinst"), ("preremove", "prerm"), ("postremove", "postrm"))
    }
    return _pack(
        {
            **_common(program.name, version, arch, f"{program.summary}\n{program.description}"),
            "depends": [*_PYTHONS, "init-system-helpers (>= 1.52)", "systemd (>= 252)"],
            "recommends": list(program.recommends),
            "suggests": [] if TORCH in program.recommends else [TORCH],
            "contents": _contents(tree, program),
            "scripts": scripts,
        },
        stage,
        out,
        fast,
    )


def pack_torch(arch: Arch, stage: Path, out: Path, fast: bool) -> Path:
    """Its version is torch's: an upgrade of the agent does not bring it again."""
    tree = stage / "tree"
    torch_tree(arch, tree)
    description = (
        "PyTorch for FLIP\nFor apps that train with it: flip-agent and flip-hub find it by themselves.\n"
        "The build is for processors; devices with accelerators bring their own."
    )
    package = {
        **_common(TORCH, f"{torch_version()}-1", arch, description),
        "depends": _PYTHONS,
        "contents": _contents(tree, None),
    }
    return _pack(package, stage, out, fast)


def _common(name: str, version: str, arch: Arch, description: str) -> dict[str, Any]:
    return {
        "name": name,
        "arch": arch.debian,
        "platform": "linux",
        "version": version,
        "version_schema": "none",  # else it rewrites 1.0.0~rc1 and its kind
        "section": "net",
        "priority": "optional",
        "maintainer": _MAINTAINER,
        "description": description,
        "homepage": "https://flip.invalid",
        "license": "Apache-2.0",
    }


def _contents(tree: Path, program: Program | None) -> list[dict[str, Any]]:
    """Whole folders where nothing else has files, single files in the others."""
    contents: list[dict[str, Any]] = []
    for top in sorted((tree / "opt").iterdir()):
        contents.append({"src": str(top), "dst": f"/opt/{top.name}", "type": "tree"})
    for path in sorted(tree.rglob("*")):
        target = Path("/") / path.relative_to(tree)
        if (path.is_dir() and not path.is_symlink()) or target.parts[1] == "opt":
            continue
        if path.is_symlink():
            contents.append({"src": os.readlink(path), "dst": str(target), "type": "symlink"})
            continue
        kind = {"type": "config|noreplace"} if program is not None and target == program.config else {}
        mode = path.stat().st_mode & 0o777
        contents.append({"src": str(path), "dst": str(target), "file_info": {"mode": mode}, **kind})
    return contents


def _pack(package: dict[str, Any], stage: Path, out: Path, fast: bool) -> Path:
    package["deb"] = {"compression": "gzip" if fast else "none"}
    config = stage / "nfpm.yaml"
    config.write_text(json.dumps(package))  # YAML has JSON in it
    target = out / f"{package['name']}_{package['version']}_{package['arch']}.deb"
    command = [str(Path(sys.executable).with_name("nfpm")), "package", "--config", str(config), "--packager", "deb"]
    environment = {**os.environ, "SOURCE_DATE_EPOCH": _EPOCH}
    subprocess.run([*command, "--target", str(target)], check=True, stdout=sys.stderr, env=environment)
    if not fast:
        _compress(target, stage / "whole", environment)
    return target


def _compress(package: Path, unpacked: Path, environment: dict[str, str]) -> None:
    """By a fifth smaller than nfpm's own xz makes it; a device needs 9 MiB of memory to unpack it."""
    subprocess.run(["dpkg-deb", "--raw-extract", str(package), str(unpacked)], check=True)
    options = ["--root-owner-group", "--uniform-compression", "-Zxz", "-z6", "-Sextreme"]
    command = ["dpkg-deb", *options, "--build", str(unpacked), str(package)]
    subprocess.run(command, check=True, stdout=sys.stderr, env=environment)
