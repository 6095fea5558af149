"""The hub's traces and metrics in a real collector: one trace from a call to what devices did, also after an outage."""

import time
from pathlib import Path

import msgspec
import pytest

from core_hub import CoreHub, TestDevice, log_batch, running_core
from flip_hub.federation.schemas import Round, Run, RunStatus
from flip_hub.federation.store import RunStore
from flip_hub.observability.spans import SpanQueue, SpanRecord
from flip_hub.settings import OtlpSection
from flip_wire.models import Sha256
from flip_wire.spans import Span, Spans, span_id, trace_of_message
from observed_hub import observing
from otlp_receiver import receiver

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
CALLER = f"00-{TRACE}-00f067aa0ba902b7-01"
PROTOCOLS = ("grpc", "http")


def a_run(traceparent: str = CALLER, flower_run_id: str = "77") -> Run:
    return Run(
        id=f"run-{flower_run_id:>012}",
        flower_run_id=flower_run_id,
        app="digits 1.0.0",
        fab_hash=Sha256("a" * 64),
        status=RunStatus.FINISHED,
        reason="",
        config={},
        promote="none",
        metric="accuracy",
        strategy="FedAvg",
        rounds=1,
        round=1,
        started_at=time.time() - 9,
        finished_at=time.time() - 1,
        eta=None,
        promoted_version=None,
        warning="",
        traceparent=traceparent,
    )


def a_round(run: Run) -> Round:
    return Round(
        run_id=run.id,
        round=1,
        started_at=run.started_at + 1,
        finished_at=run.started_at + 5,
        sampled=[],
        answered=[],
        failures=[],
        train_metrics={},
        evaluate_metrics={},
        version=None,
    )


async def told_by(device: TestDevice, hub: CoreHub, flower_run_id: str, message_id: str, seq: int) -> None:
    """What an agent tells of a message, by the ids that it knows."""
    trace, now = trace_of_message(flower_run_id, message_id), time.time()
    whole = Span(trace_id=trace, span_id=span_id(trace, "message"), name="message", start=now - 4, duration=3)
    train = Span(
        trace_id=trace,
        span_id=span_id(trace, "train"),
        parent_id=whole.span_id,
        name="train",
        start=now - 3,
        duration=2,
    )
    body = msgspec.to_builtins(Spans(spans=[whole, train], run_id=flower_run_id, message_id=message_id))
    answer = await hub.post("/api/v1/device/telemetry", log_batch([seq], kind="spans", body=body), device.headers)
    assert answer.status_code == 200, answer.text


@pytest.mark.asyncio
@pytest.mark.parametrize("protocol", PROTOCOLS)
async def test_a_call_its_run_and_what_a_device_did_are_one_trace(folder: Path, mongo_url: str, protocol: str) -> None:
    async with running_core(folder, mongo_url) as hub, receiver(folder) as collector:
        runs, run = RunStore(hub.mongo.database), a_run()
        await runs.save_run(run)
        await runs.save_round(a_round(run))
        device = await hub.enrol()
        otlp = msgspec.convert(
            {"endpoint": collector.endpoint(protocol), "protocol": protocol, "interval": 0.5}, OtlpSection
        )
        async with observing(hub, otlp) as second:
            called = await second.http.get("/api/v1/devices", headers={**hub.as_user(), "traceparent": CALLER})
            assert called.status_code == 200
            (request,) = await collector.until(1, "GET /api/v1/devices")
            assert (request.trace_id, request.parent_id) == (TRACE, "00f067aa0ba902b7")
            (whole,) = await collector.until(1, "run")
            assert (whole.trace_id, whole.parent_id) == (TRACE, "00f067aa0ba902b7")
            (round,) = await collector.until(1, "round")
            assert (round.trace_id, round.parent_id) == (TRACE, whole.span_id)
            await told_by(device, hub, run.flower_run_id, "m1", 1)
            (message,) = await collector.until(1, "message")
            (train,) = await collector.until(1, "train")
            assert message.trace_id == train.trace_id == TRACE
            assert (message.parent_id, train.parent_id) == (whole.span_id, message.span_id)
            while "flip.event_loop.lag" not in collector.metrics:
                await collector.until(1, "run")
            assert "http.server.request.duration" in collector.metrics


@pytest.mark.asyncio
@pytest.mark.parametrize("protocol", PROTOCOLS)
async def test_an_outage_of_the_collector_delays_what_devices_did_and_loses_none(
    folder: Path, mongo_url: str, protocol: str
) -> None:
    async with running_core(folder, mongo_url) as hub, receiver(folder) as collector:
        await RunStore(hub.mongo.database).save_run(a_run())
        device = await hub.enrol()
        otlp = msgspec.convert(
            {"endpoint": collector.endpoint(protocol), "protocol": protocol, "interval": 0.5}, OtlpSection
        )
        async with observing(hub, otlp) as second:
            await told_by(device, hub, "77", "m1", 1)
            await collector.until(1, "message")
            await collector.stop()
            for seq in range(2, 12):
                await told_by(device, hub, "77", f"m{seq}", seq)
                assert (await second.http.get("/health/live")).status_code == 200
            waiting = hub.mongo.database["spans"]
            assert await waiting.count_documents({"exported": None}) == 10
        async with observing(hub, otlp):  # a restart of the hub in between loses none either
            await collector.start()
            assert len(await collector.until(11, "message")) == 11
            while await waiting.count_documents({"exported": None}):
                await collector.until(11, "message")
        assert len({span.span_id for span in collector.spans if span.name == "message"}) == 11
        assert len([span for span in collector.spans if span.name == "message"]) == 11
        assert len([span for span in collector.spans if span.name == "run"]) == 1


@pytest.mark.asyncio
async def test_a_trace_that_its_caller_does_not_want_is_not_exported(folder: Path, mongo_url: str) -> None:
    async with running_core(folder, mongo_url) as hub, receiver(folder) as collector:
        runs = RunStore(hub.mongo.database)
        await runs.save_run(a_run(CALLER[:-1] + "0"))
        await runs.save_run(a_run(flower_run_id="78"))
        async with observing(hub, OtlpSection(endpoint=collector.endpoint("grpc"), interval=0.5)):
            (whole,) = await collector.until(1, "run")
            assert whole.trace_id == TRACE
            exported = hub.mongo.database["exported_runs"]
            while await exported.count_documents({}) < 2:
                await collector.until(1, "run")
        assert len([span for span in collector.spans if span.name == "run"]) == 1


@pytest.mark.asyncio
async def test_what_does_not_fit_the_queue_is_counted() -> None:
    queue = SpanQueue(2)
    for number in range(3):
        queue.add(SpanRecord(trace_id=TRACE, span_id=f"{number:016x}", name="x", start=0.0, duration=0.0))
    assert (len(queue), queue.dropped) == (2, 1)
    await queue.wait()
    assert [span.span_id[-1] for span in queue.take(5)] == ["0", "1"]
