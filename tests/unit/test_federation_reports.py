"""Reports reach the hub in order and after their files, wait for a hub that is away, and never stop the run."""

import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from socketserver import ThreadingUnixStreamServer

import msgspec
import pytest

from flip_hub.federation.aggregator.hub_line import HubLine
from flip_hub.federation.aggregator.reports import Reports
from flip_hub.federation.schemas import ReplyReceived, RoundFinished, RunReport, VersionMade
from flip_wire.models import FileRef, Manifest, Sha256

SHA256 = Sha256("a" * 64)
RUN = str(2**63 + 1)


def reply(number: int) -> RunReport:
    return ReplyReceived(round=number, phase="train", node="7", error="", message=f"m{number}")


def version() -> RunReport:
    weights = FileRef(name="weights.safetensors", sha256=SHA256, size=3)
    return VersionMade(manifest=Manifest(model="m", version=0, created_at=0.0, weights=weights), warning="")


class Hub:
    """Answers with `statuses` first, then with 204."""

    def __init__(self, socket: Path, statuses: list[int] | None = None) -> None:
        self.calls: list[tuple[str, str, bytes]] = []
        self.statuses = statuses or []
        self._socket = socket
        hub = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                content = self.rfile.read(int(self.headers["Content-Length"]))
                assert self.headers["Authorization"] == "Bearer the secret"
                status = hub.statuses.pop(0) if hub.statuses else 204
                if status == 204:
                    hub.calls.append((self.command, self.path, content))
                self.send_response(status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            do_PUT = do_POST

            def log_message(self, format: str, *args: object) -> None: ...

        self._server = ThreadingUnixStreamServer(str(socket), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()

    @property
    def reports(self) -> list[RunReport]:
        return [msgspec.json.decode(content, type=RunReport) for method, _, content in self.calls if method == "POST"]

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._socket.unlink()
        self._thread.join()


@pytest.fixture
def socket(folder: Path) -> Path:
    return folder / "hub.sock"


@pytest.fixture
def hub(socket: Path) -> Iterator[Hub]:
    hub = Hub(socket)
    yield hub
    hub.close()


def reports_to(socket: Path, folder: Path, *, patience: float = 60.0) -> Reports:
    secret = folder / "internal.secret"
    secret.write_text("the secret\n")
    return Reports(HubLine(socket, secret), int(RUN), patience=patience)


def test_reports_arrive_in_order_and_a_version_after_its_files(hub: Hub, socket: Path, folder: Path) -> None:
    reports = reports_to(socket, folder)
    sent = [reply(1), version(), RoundFinished(round=1, train_metrics={}, evaluate_metrics={}), version()]
    for report in sent:
        reports.send(report, {SHA256: b"abc"} if isinstance(report, VersionMade) else None)
    reports.close()
    assert hub.reports == sent
    path = f"/internal/v1/runs/{RUN}/reports"
    order = [(method, where) for method, where, _ in hub.calls]
    put = ("PUT", f"/internal/v1/artifacts/{SHA256}")
    assert order == [("POST", path), put, *[("POST", path)] * 3], "the same file is stored once"


def test_a_hub_that_answers_late_loses_nothing(hub: Hub, socket: Path, folder: Path) -> None:
    hub.statuses = [503, 404, 500, 429]
    reports = reports_to(socket, folder)
    reports.send(reply(1))
    reports.send(reply(2))
    reports.close()
    assert hub.reports == [reply(1), reply(2)]


def test_a_hub_that_comes_up_later_gets_what_waited(socket: Path, folder: Path) -> None:
    reports = reports_to(socket, folder)
    reports.send(reply(1))
    hub = Hub(socket)
    try:
        reports.close()
        assert hub.reports == [reply(1)]
    finally:
        hub.close()


def test_a_refused_report_is_dropped_and_the_next_goes_on(
    hub: Hub, socket: Path, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    hub.statuses = [422]
    reports = reports_to(socket, folder)
    reports.send(reply(1))
    reports.send(reply(2))
    reports.close()
    assert hub.reports == [reply(2)]
    assert "1 reports did not reach the hub" in caplog.text


def test_a_hub_that_stays_away_costs_a_bounded_time_and_two_lines(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    reports = reports_to(folder / "nobody.sock", folder, patience=0.5)
    started = time.monotonic()
    for number in range(300):
        reports.send(reply(number))
    for _ in range(3):
        reports.send(version(), {SHA256: b"abc"})
    reports.close(within=5.0)
    assert time.monotonic() - started < 10.0
    assert "303 reports did not reach the hub" in caplog.text
    assert len([record for record in caplog.records if record.levelname == "WARNING"]) == 2
