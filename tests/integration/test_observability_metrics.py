"""What Prometheus reads of a hub, who may read it, and what a hub says is missing."""

import shutil
import time
from pathlib import Path

import msgspec
import pytest

from core_hub import log_batch, problem, running_core
from flip_hub.credentials import gateway_certificate
from flip_hub.observability.metrics import Metrics, one
from flip_hub.observability.prometheus import exposition
from flip_hub.observability.readiness import LEAST_ROOM, room, valid
from flip_hub.settings import MetricsSection
from flip_runtime.errors import ConfigError
from observed_hub import observing


@pytest.mark.asyncio
async def test_an_operator_reads_what_devices_and_calls_do(folder: Path, mongo_url: str) -> None:
    async with running_core(folder, mongo_url) as hub, observing(hub) as second:
        device = await hub.enrol()
        for seq in (1, 2):
            sent = await second.http.post(
                "/api/v1/device/telemetry",
                content=msgspec.json.encode(log_batch([seq])),
                headers=device.headers,
            )
            assert sent.status_code == 200
        assert (await second.http.get("/api/v1/devices")).status_code == 401
        assert (await second.http.get("/nothing/here")).status_code in (200, 404)
        read = await second.http.get("/metrics", headers=hub.as_user())
        assert read.status_code == 200
        assert read.headers["Content-Type"].startswith("text/plain")
        told = read.text
        beats = 'method="POST",route="/api/v1/device/telemetry",status="200"'
        assert f"http_server_request_duration_seconds_count{{{beats}}} 2.0" in told
        assert 'route="/api/v1/devices",status="401"} 1.0' in told
        assert 'flip_devices{status="ok"} 1.0' in told
        assert 'flip_devices{status="unknown"} 0.0' in told
        assert "flip_devices_backlog 0.0" in told
        assert 'flip_part_up{part="mongo"} 1.0' in told
        for name in ("flip_event_loop_lag_seconds", "process_resident_memory_bytes", "flip_long_polls"):
            assert f"\n{name} " in told


@pytest.mark.asyncio
async def test_metrics_are_for_people_who_may_and_for_the_scrape_token(folder: Path, mongo_url: str) -> None:
    token = folder / "scrape"
    token.write_text("a long token\n")
    async with running_core(folder, mongo_url) as hub:
        async with observing(hub) as closed:
            problem(await closed.http.get("/metrics"), 401)
            problem(await closed.http.get("/metrics", headers={"Authorization": "Bearer"}), 401)
            device = await hub.enrol()
            assert (await closed.http.get("/metrics", headers=device.headers)).status_code in (401, 403)
        async with observing(hub, metrics=MetricsSection(token_file=token)) as opened:
            problem(await opened.http.get("/metrics", headers={"Authorization": "Bearer another"}), 401)
            read = await opened.http.get("/metrics", headers={"Authorization": "Bearer a long token"})
            assert read.status_code == 200
        with pytest.raises(ConfigError, match=r"metrics\.token_file"):
            async with observing(hub, metrics=MetricsSection(token_file=folder / "missing")):
                pass


def test_a_histogram_is_cumulative_and_bounded() -> None:
    metrics = Metrics()
    seconds = metrics.histogram("flip.x", "help", unit="s", labels=("route",), bounds=(0.1, 1.0))
    metrics.counter("flip.y", "help", one(lambda: 3))
    for value in (0.1, 0.5, 7.0):
        seconds.record(value, ("a",))
    told = exposition(metrics).decode()
    assert 'flip_x_seconds_bucket{le="0.1",route="a"} 1.0' in told
    assert 'flip_x_seconds_bucket{le="1",route="a"} 2.0' in told
    assert 'flip_x_seconds_bucket{le="+Inf",route="a"} 3.0' in told
    assert "flip_y_total 3.0" in told
    for number in range(5_000):
        seconds.record(1.0, (str(number),))
    assert len(seconds.series) <= 1_001


@pytest.mark.asyncio
async def test_a_hub_without_room_or_with_an_ended_certificate_says_so(
    folder: Path, mongo_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running_core(folder, mongo_url) as hub:
        certificate = gateway_certificate(hub.settings)
        assert await valid(certificate, "fleet")() == ""
        ends = certificate.expires_at()
        monkeypatch.setattr(time, "time", lambda: ends + 1)
        assert "[fleet]" in await valid(certificate, "fleet")()
        monkeypatch.undo()
        used = shutil.disk_usage(folder)
        assert await room(folder)() == ("" if used.free >= LEAST_ROOM else await room(folder)())
        monkeypatch.setattr(shutil, "disk_usage", lambda _: used._replace(free=2**20))
        assert "1 MiB are free" in await room(folder)()
