"""A ServerApp's line to the fault lab that it runs in: its clock, and whom it tells what it reports."""

import math
import os
import socket
import threading
from typing import Self

from flip_hub.federation.aggregator.progress_reports import Send
from flip_hub.federation.aggregator.versions import Files
from flip_hub.federation.lab_frames import SOCKET, FromServerApp, Now, Reported, Waits, decode_now, line
from flip_hub.federation.schemas import RunReport
from flip_runtime.errors import Unavailable


class LabLine:
    """A `Clock` that stands still while the ServerApp computes."""

    def __init__(self, path: str) -> None:
        """Raises `Unavailable` when the lab is gone."""
        self._lock = threading.Lock()
        self._now = 0.0
        self._socket = socket.socket(socket.AF_UNIX)
        try:
            self._socket.connect(path)
        except OSError as error:
            raise Unavailable(f"the lab at {path} does not answer: {error.strerror}") from error
        self._answers = self._socket.makefile("rb")
        self._now = self._ask(Waits(seconds=0.0, left=0.0)).seconds

    @classmethod
    def of_environment(cls) -> Self | None:
        """None outside of a lab."""
        path = os.environ.get(SOCKET)
        return cls(path) if path else None

    # ---- Clock ----

    def now(self) -> float:
        return self._now

    def sleep(self, seconds: float, left: float | None = None) -> None:
        known = left is not None and math.isfinite(left)
        self._now = self._ask(Waits(seconds=seconds, left=left if known else None)).seconds

    # ---- what the lab hears ----

    def heard(self, send: Send) -> Send:
        """`send`, of which the lab hears first."""

        def send_both(report: RunReport, files: Files | None = None) -> None:
            self._tell(Reported(report=report))
            send(report, files)

        return send_both

    def _ask(self, frame: Waits) -> Now:
        with self._lock:
            self._write(frame)
            answer = self._answers.readline()
        if not answer:
            raise Unavailable("the lab has ended")
        return decode_now(answer)

    def _tell(self, frame: FromServerApp) -> None:
        with self._lock:
            self._write(frame)

    def _write(self, frame: FromServerApp) -> None:
        try:
            self._socket.sendall(line(frame))
        except OSError as error:
            raise Unavailable(f"the lab has ended: {error.strerror}") from error
