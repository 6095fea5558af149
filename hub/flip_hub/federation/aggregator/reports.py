"""What the ServerApp's process tells the hub: in order, in the background, and never at the cost of the run.

A report is tried until a minute after it was made; one that could not be delivered by then is counted, and the count
is logged at the end. That costs the hub's account of the run some lines, but never a device its receipt: which replies
the app has is in the run's journal. A `VersionMade` is sent only after its files are stored. Bounded: 256 reports wait,
of which two may carry files (a model's weights may be large); then `send` waits, at most as long as a report is tried.
"""

import logging
import queue
import threading
import time
from collections.abc import Iterator

import msgspec

from flip_hub.federation.aggregator.hub_line import HubLine
from flip_hub.federation.aggregator.versions import Content, Files
from flip_hub.federation.schemas import RunReport
from flip_runtime.errors import Rejected, Unavailable
from flip_wire.models import Sha256

log = logging.getLogger("flwr.flip")  # below Flower's own logger: these lines land in the run's log

_WAITING = 256
_WITH_FILES = 2


class Reports:
    """`send` from one thread; `close` when the run is over."""

    def __init__(self, line: HubLine, flower_run_id: int, *, patience: float = 60.0) -> None:
        self._run = f"/internal/v1/runs/{flower_run_id}/reports"
        self._line = line
        self._patience = patience
        self._queue: queue.Queue[_Item | None] = queue.Queue(_WAITING)
        self._slots = threading.BoundedSemaphore(_WITH_FILES)
        self._stored: set[Sha256] = set()
        self._lost = 0
        self._last_call = float("inf")
        self._closing = threading.Event()
        self._sender = threading.Thread(target=self._deliver_all, name="reports", daemon=True)
        self._sender.start()

    def send(self, report: RunReport, files: Files | None = None) -> None:
        """Returns at once unless too much waits."""
        item = _Item(report=report, files=dict(files or {}), until=time.monotonic() + self._patience)
        if item.files and not self._slots.acquire(timeout=self._patience):
            self._lost += 1
            return
        try:
            self._queue.put(item, timeout=self._patience)
        except queue.Full:
            self._lost += 1

    def close(self, within: float = 60.0) -> None:
        """Delivers what waits, for at most that many seconds, and says how much was lost."""
        self._last_call = time.monotonic() + within
        self._closing.set()
        try:
            self._queue.put(None, timeout=within)
        except queue.Full:
            log.warning("the hub is too slow, some reports are lost")
            return
        self._sender.join(within + 1.0)
        if self._lost or self._sender.is_alive():
            waiting = self._lost + self._queue.qsize()
            log.warning("%d reports did not reach the hub: its account of this run is incomplete", waiting)

    def _deliver_all(self) -> None:
        with self._line:
            for item in self._items():
                try:
                    self._deliver(item)
                except (Unavailable, Rejected) as error:
                    self._lost += 1
                    if self._lost == 1:  # how many follow it is said at the end
                        log.warning("report %s is lost: %s", type(item.report).__name__, error)
                finally:
                    if item.files:
                        self._slots.release()

    def _items(self) -> "Iterator[_Item]":
        while (item := self._queue.get()) is not None:
            yield item

    def _deliver(self, item: "_Item") -> None:
        for sha256, content in item.files.items():
            if sha256 not in self._stored:
                self._call("PUT", f"/internal/v1/artifacts/{sha256}", content, item.until)
                self._stored.add(sha256)
        self._call("POST", self._run, msgspec.json.encode(item.report), item.until)

    def _call(self, method: str, path: str, content: Content, until: float) -> None:
        """Tries until it is accepted or the time is over (`Unavailable`), or refused (`Rejected`)."""
        self._line.call(method, path, content, lambda: min(until, self._last_call), self._tell)

    def _tell(self, error: Unavailable) -> None:
        if not self._closing.is_set():
            log.info("the hub does not take reports, trying again: %s", error)


class _Item(msgspec.Struct, frozen=True, kw_only=True):
    report: RunReport
    files: Files
    until: float
    """On the monotonic clock."""
