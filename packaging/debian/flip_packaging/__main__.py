"""`packaging/build`: Debian packages by name and architecture, written to a folder."""

import argparse
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from flip_packaging.deb import pack_program, pack_torch
from flip_packaging.package import ARCHES, NAMES, PROGRAMS, ROOT, TORCH, Arch
from flip_packaging.wheels import project_version


def main() -> int:
    options = _parser().parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    (ROOT / "build").mkdir(exist_ok=True)
    for name in options.package or NAMES:
        for arch in options.arch or ARCHES:
            with TemporaryDirectory(prefix=f"{name}-{arch}-", dir=ROOT / "build") as stage:
                try:
                    made = _pack(name, options.version, ARCHES[arch], Path(stage), options.out, options.fast)
                except subprocess.CalledProcessError as error:
                    print(f"packaging/build: {error.cmd[0]} failed: see above", file=sys.stderr)
                    return 1
            print(f"{made}  {made.stat().st_size / 1e6:.1f} MB", flush=True)
    return 0


def _pack(name: str, version: str, arch: Arch, stage: Path, out: Path, fast: bool) -> Path:
    if name == TORCH:
        return pack_torch(arch, stage, out, fast)
    return pack_program(PROGRAMS[name], version, arch, stage, out, fast)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="packaging/build", description="Builds the Debian packages.")
    parser.add_argument("package", nargs="*", choices=[*NAMES, []], help=f"by default all: {', '.join(NAMES)}")
    parser.add_argument("--arch", action="append", choices=[*ARCHES], help="by default both; may be given twice")
    parser.add_argument("--version", default=project_version(), help="by default pyproject.toml's")
    parser.add_argument("--out", type=Path, default=ROOT / "dist", metavar="FOLDER", help="by default dist")
    parser.add_argument("--fast", action="store_true", help="compress little, for tests")
    return parser


if __name__ == "__main__":
    sys.exit(main())
