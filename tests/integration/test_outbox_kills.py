"""Kills at random moments, answers that get lost, requests that come twice and late, a disk that is full: produced is
accepted by the hub plus declared dropped, to the event."""

import random
import subprocess
import sys
import threading
from collections.abc import Generator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import msgspec
import pytest
from full_disk import small_disk
from outbox_lives import Line, Notes

from flip_hub.devices.record import Intake
from flip_hub.problem import Unprocessable
from flip_hub.telemetry.batch import CheckedBatch, read_batch
from flip_wire.telemetry import BatchAccepted, Gap

DEVICES = 4
DISK = 3 * 2**20
"""Bytes of the first device's disk, a small tmpfs."""
SMALL = 96 * 2**10
"""Bytes of the second device's outbox, which is full long before its hub is there."""


class StandIn:
    """Takes batches as the hub does (its own reader and its own counting), over a bad network."""

    def __init__(self, seed: int, away_for: int) -> None:
        """`away_for` so many requests."""
        self.away_for = away_for
        self.lines: dict[tuple[str, int], int] = {}
        self.gaps: dict[tuple[str, int], Gap] = {}
        self.intake = Intake()
        self.late: list[CheckedBatch] = []
        self.chance = random.Random(seed)
        self._lock = threading.Lock()

    def request(self, body: bytes) -> tuple[int, bytes] | None:
        """None: the connection breaks."""
        try:
            checked = read_batch(body, "zstd")
        except Unprocessable:
            return None  # the device was killed while it sent
        with self._lock:
            luck = self.chance.random()
            self.away_for -= 1
            if luck < 0.3 or self.away_for >= 0:
                return 503, b"{}"
            self._store(checked)
            if luck < 0.5:
                return None  # stored, but the device does not hear of it
            self.late = [*self.late[-20:], checked]
            if luck < 0.7:
                self._store(self.chance.choice(self.late))  # an earlier request arrives once more
        batch = checked.batch
        return 200, msgspec.json.encode(BatchAccepted(priority=batch.priority, up_to=batch.events[-1].seq))

    def _store(self, checked: CheckedBatch) -> None:
        epoch = checked.batch.epoch
        for event in checked.batch.events:
            if event.kind == "line":
                number = msgspec.json.decode(event.body, type=Line).number
                assert self.lines.setdefault((epoch, event.seq), number) == number
        self.gaps |= {(epoch, event.seq): gap for event, gap in checked.of(Gap)}
        self.intake = checked.fresh_since(self.intake).intake


@contextmanager
def served(hub: StandIn) -> Generator[int]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            answer = hub.request(self.rfile.read(int(self.headers["Content-Length"])))
            self.close_connection = answer is None
            if answer is not None:
                self.send_response(answer[0])
                self.send_header("Content-Length", str(len(answer[1])))
                self.end_headers()
                self.wfile.write(answer[1])

        def handle(self) -> None:
            try:
                super().handle()
            except OSError:
                self.close_connection = True

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def lead_lives(folder: Path, kills: int, seed: int) -> StandIn:
    hub = StandIn(seed, away_for=3 * kills if seed == 1 else 0)
    (folder / "disk").mkdir(parents=True, exist_ok=True)
    with served(hub) as port:
        script = Path(__file__).with_name("outbox_lives.py")
        command = [sys.executable, str(script), str(folder), str(port), str(kills), str(seed)]
        command.append(str(SMALL if seed == 1 else 2**26))
        done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
        assert done.returncode == 0, done.stderr[-3000:]
    return hub


def test_nothing_is_lost_or_doubled_however_often_the_agent_is_killed(
    folder: Path, pytestconfig: pytest.Config
) -> None:
    kills = (1000 if pytestconfig.getoption("--long") else 200) // DEVICES
    found: dict[int, StandIn] = {}

    def lead(seed: int) -> None:
        found[seed] = lead_lives(folder / str(seed), kills, seed)

    threads = [threading.Thread(target=lead, args=(seed,)) for seed in range(DEVICES)]
    with small_disk(folder / "0" / "disk", DISK):
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(found) == DEVICES, "a device's process failed"
    for seed, hub in found.items():
        arrived = list(hub.lines.values())
        declared = sum(gap.count for gap in hub.gaps.values())
        produced = Notes(folder / str(seed)).begun
        assert len(produced) > kills
        assert len(arrived) == len(set(arrived)), "no event under two numbers"
        assert set(arrived) <= produced
        assert len(produced) == len(arrived) + declared
        assert (hub.intake.accepted, hub.intake.dropped) == (len(hub.lines) + len(hub.gaps) + 1, declared)
    assert sum(len(hub.gaps) for hub in found.values()) > 0, "something had to be dropped"
