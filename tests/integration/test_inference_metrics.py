"""What a server has answered, as Prometheus reads it and as `run` hears it."""

from pathlib import Path

import numpy as np
import pytest
from prometheus_client.parser import text_string_to_metric_families

from fake_run import FakeRun
from flip_agent.local.messages import Activate, Prepare, Prepared, Serving, Traffic
from flip_demo.perceptron import make_version
from inference_process import Client, ServeProcess, infer_body

ROWS = np.random.RandomState(5).rand(3, 64).astype("f4")
ACTIVE = {"model": "digits", "version": "2"}

pytestmark = pytest.mark.asyncio


def scraped(client: Client) -> dict[str, dict[tuple[tuple[str, str], ...], float]]:
    """Samples by name and labels."""
    answer = client.exchange("GET", "/metrics", None, {})
    assert answer.status == 200
    assert answer.headers["content-type"].startswith("text/plain; version=")
    samples: dict[str, dict[tuple[tuple[str, str], ...], float]] = {}
    for family in text_string_to_metric_families(answer.content.decode()):
        for sample in family.samples:
            samples.setdefault(sample.name, {})[tuple(sorted(sample.labels.items()))] = sample.value
    return samples


async def test_calls_are_counted_by_version_and_outcome(folder: Path, port: int) -> None:
    process = ServeProcess(folder, port)
    first, second = (make_version(process.store, "digits", version, seed=version) for version in (1, 2))
    process.store.activate("digits", first)
    async with FakeRun().listening(process.socket) as run, process.running() as client:
        await run.say(Prepare(model="digits", version=2, manifest=second))
        assert (await run.hears(Prepared)).reason == ""
        await run.say(Activate(model="digits", version=2))
        assert (await run.hears(Serving, 2)).version == 2
        for _ in range(5):
            assert client.post("/v2/models/digits/infer", infer_body(ROWS)).status == 200
        assert client.post("/v2/models/digits/infer", infer_body(ROWS[:, :7])).status == 400
        assert client.post("/v2/models/nobody/infer", infer_body(ROWS)).status == 404
        samples = scraped(client)
        traffic = (await run.hears(Traffic)).models[0]

    def value(name: str, **labels: str) -> float:
        return samples[name][tuple(sorted(labels.items()))]

    assert value("flip_inference_requests_total", **ACTIVE, outcome="answered") == 5
    assert value("flip_inference_requests_total", **ACTIVE, outcome="refused") == 1
    assert value("flip_inference_requests_total", **ACTIVE, outcome="failed") == 0
    assert value("flip_inference_rejections_total", **ACTIVE, status="400") == 1
    assert value("flip_inference_rejections_total", model="", version="", status="404") == 1
    assert value("flip_inference_rows_total", **ACTIVE) == 15
    assert value("flip_samples_lost_total", why="samples_displaced") == 0
    assert value("flip_inference_batch_rows_bucket", **ACTIVE, le="2.0") == 0
    assert value("flip_inference_batch_rows_bucket", **ACTIVE, le="4.0") == 5
    assert value("flip_inference_batch_rows_sum", **ACTIVE) == 15
    assert value("flip_inference_request_seconds_count", **ACTIVE) == 5
    assert value("flip_inference_request_seconds_sum", **ACTIVE) > value(
        "flip_inference_compute_seconds_total", **ACTIVE
    )
    assert value("flip_inference_model_info", **ACTIVE, manifest=second) == 1
    assert value("flip_inference_loaded", **ACTIVE) == value("flip_inference_loaded", model="digits", version="1") == 1
    assert value("flip_inference_swaps_total", model="digits") == 1
    assert value("flip_inference_rollbacks_total", model="digits") == 0
    assert value("flip_inference_queue", model="digits") == 0
    assert value("process_resident_memory_bytes") > 2**25
    assert (traffic.version, traffic.instance, traffic.swaps) == (2, "default", 1)
    assert traffic.requests <= 5
