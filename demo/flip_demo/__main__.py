"""`scripts/demo`: hub, three devices, a federated run on real data, the model served on each device and measured."""

import argparse
import asyncio
import contextlib
import fcntl
import logging
import os
import shutil
import signal
import sys
from collections.abc import Generator, Iterator
from pathlib import Path

import msgspec

from flip_demo.display import Display
from flip_demo.journey import Journey
from flip_demo.layout import Layout, Ports
from flip_runtime.errors import ConfigError, FlipError

MARK = ".flip-demo"
DEFAULT_ROOT = Path(__file__).parents[2] / ".demo"


def main() -> int:
    options = _options()
    display = Display()
    logging.basicConfig(level=logging.CRITICAL)  # what a process says is in its log; here only the facts below
    try:
        with _locked(options):
            return asyncio.run(_until_interrupted(options, display))
    except FlipError as error:
        return _fail(display, options, str(error))
    except ExceptionGroup as group:
        return _fail(display, options, "; ".join(str(error) for error in _leaves(group)))


async def _until_interrupted(options: argparse.Namespace, display: Display) -> int:
    """Ctrl-C, SIGTERM and a closed terminal end the journey in order."""
    ports = Ports.free() if options.free_ports else Ports()
    ports.check()
    journey = Journey(Layout(options.root), ports, options.seed, options.rounds, display)
    task = asyncio.create_task(journey.travel(stay=not options.check, reload=options.reload))
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, task.cancel)
    try:
        result = await task
    except asyncio.CancelledError:
        display.plain()
        display.done("stopped; no process, port or lock is left")
        return 130 if options.check else 0
    if options.check:
        print(msgspec.json.encode(result).decode(), flush=True)
    return 0 if result.ok else 1


@contextlib.contextmanager
def _locked(options: argparse.Namespace) -> Generator[None]:
    """One demo per folder. The kernel drops the lock with the process, so none is ever left behind."""
    root: Path = options.root
    root.mkdir(parents=True, exist_ok=True, mode=0o700)
    folder = os.open(root, os.O_RDONLY)
    try:
        try:
            fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise ConfigError(f"a demo runs in {root} already", hint="stop it, or name another --root") from error
        _claim(root)
        if options.fresh:
            for entry in root.iterdir():
                shutil.rmtree(entry) if entry.is_dir() else entry.unlink()
            _claim(root)
        yield
    finally:
        os.close(folder)


def _claim(root: Path) -> None:
    """Marks an empty folder as the demo's. One with other people's things is refused, also because of `--fresh`."""
    mark = root / MARK
    if not mark.exists() and any(root.iterdir()):
        raise ConfigError(f"{root} holds something else than a demo", hint="name a new or empty folder with --root")
    mark.touch()


def _fail(display: Display, options: argparse.Namespace, reason: str) -> int:
    display.failed(reason)
    if options.check:
        print(msgspec.json.encode({"ok": False, "reason": reason}).decode(), flush=True)
    return 1


def _leaves(group: BaseExceptionGroup[BaseException]) -> Iterator[BaseException]:
    for error in group.exceptions:
        if isinstance(error, BaseExceptionGroup):
            yield from _leaves(error)
        else:
            yield error


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="scripts/demo", description=__doc__)
    parser.add_argument("--check", action="store_true", help="end by itself with a JSON line; ok: accuracy >= 0.90")
    parser.add_argument("--seed", type=int, default=0, help="of the data's split and the model's first weights")
    parser.add_argument("--rounds", type=int, default=8, choices=range(1, 51), metavar="N", help="of training (8)")
    parser.add_argument("--fresh", action="store_true", help="forget the registry and devices of earlier demos")
    parser.add_argument("--free-ports", action="store_true", help="any free ports instead of the documented ones")
    parser.add_argument("--reload", action="store_true", help="restart the hub when its Python changes (scripts/dev)")
    parser.add_argument("--root", type=Path, default=DEFAULT_ROOT, help="where everything is kept (.demo)")
    options = parser.parse_args()
    options.root = options.root.resolve()
    return options


if __name__ == "__main__":
    sys.exit(main())
