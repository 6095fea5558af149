"""python -m flip_lab REQUEST: one experiment; `flip-hub lab` starts it."""

import asyncio
import logging
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec

from flip_hub.federation.lab_request import LabRequest, decode
from flip_hub.federation.schemas import RunStatus
from flip_lab.lab import experiment
from flip_lab.places import check_report, folder_of, forget_settings
from flip_lab.report import LabReport, in_words
from flip_runtime.errors import FlipError


def main() -> int:
    request = decode(sys.argv[1])
    logging.basicConfig(level=logging.CRITICAL)  # what processes say is in their logs; here only what came of it
    forget_settings()
    try:
        check_report(request.report)
        with folder_of(request.folder) as folder:
            report = asyncio.run(_until_interrupted(request, folder))
    except FlipError as error:
        return _fail(str(error))
    except ExceptionGroup as group:
        return _fail("; ".join(str(error) for error in _leaves(group)))
    except asyncio.CancelledError:
        return 130
    for line in in_words(report, request.metric):
        print(line)
    try:
        if request.report is not None:
            request.report.write_bytes(msgspec.json.format(msgspec.json.encode(report)) + b"\n")
    except OSError as error:
        return _fail(f"--report {request.report}: {error.strerror}")
    return 0 if report.status == RunStatus.FINISHED else 1


async def _until_interrupted(request: LabRequest, folder: Path) -> LabReport:
    """Ctrl-C and SIGTERM end all processes in order."""
    task = asyncio.create_task(experiment(request, folder, lambda text: print(text, file=sys.stderr, flush=True)))
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    return await task


def _fail(reason: str) -> int:
    print(f"flip-hub: {reason}", file=sys.stderr)
    return 1


def _leaves(group: BaseExceptionGroup[BaseException]) -> Iterator[BaseException]:
    for error in group.exceptions:
        if isinstance(error, BaseExceptionGroup):
            yield from _leaves(error)
        else:
            yield error


if __name__ == "__main__":
    sys.exit(main())
