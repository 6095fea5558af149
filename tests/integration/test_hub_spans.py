"""Spans at the hub: each once, by the hub's clock, and nothing that a device makes up."""

import asyncio
from pathlib import Path
from typing import Any

import msgspec
import pytest

from core_hub import CoreHub, TestDevice, log_batch, problem, running_core
from flip_hub.api.pages import Wanted
from flip_wire.spans import MOST_SPANS, Span, Spans, span_id, trace_of_message
from flip_wire.telemetry import Stamp

TELEMETRY = "/api/v1/device/telemetry"
RUN, MESSAGE = "8843091856547598544", "d" * 64
TRACE = trace_of_message(RUN, MESSAGE)

pytestmark = pytest.mark.asyncio


def span(name: str, start: float, duration: float) -> Span:
    parent = "" if name == "message" else span_id(TRACE, "message")
    own = span_id(TRACE, name)
    return Span(trace_id=TRACE, span_id=own, parent_id=parent, name=name, start=start, duration=duration)


def message_spans() -> Spans:
    return Spans(run_id=RUN, message_id=MESSAGE, spans=[span("message", 400.0, 100.0), span("train", 410.0, 80.0)])


async def send(hub: CoreHub, device: TestDevice, seq: int, body: object) -> Any:
    batch = log_batch([seq], kind="spans", body=body)
    at, sent = Stamp(wall=500.0, monotonic=40.0, boot_id="b"), Stamp(wall=560.0, monotonic=100.0, boot_id="b")
    events = [msgspec.structs.replace(event, at=at) for event in batch.events]
    return await hub.post(TELEMETRY, msgspec.structs.replace(batch, events=events, sent=sent), device.headers)


async def test_spans_are_kept_once_with_their_times_by_the_hub_s_clock(folder: Path, mongo_url: str) -> None:
    async with running_core(folder, mongo_url) as hub:
        device = await hub.enrol()
        for _ in range(2):
            assert (await send(hub, device, 1, message_spans())).status_code == 200
        (stored,) = (await hub.core.spans.newest(RUN, Wanted())).items
        assert (stored.device_id, stored.message_id) == (device.id, MESSAGE)
        root, train = stored.spans
        events = await hub.http.get(f"/api/v1/devices/{device.id}/events", headers=hub.as_user())
        happened = events.json()[0]["happened_at"]
        assert [root.start, train.start] == pytest.approx([happened - 100, happened - 90], abs=0.01)
        assert [root.duration, train.duration] == [100.0, 80.0]
        assert (await hub.core.spans.newest("another run", Wanted())).items == []


async def test_a_console_is_told_when_there_are_more_spans_or_gaps(folder: Path, mongo_url: str) -> None:
    gap = {"priority": 3, "first": 4, "last": 90, "count": 80, "reason": "outbox full"}
    async with running_core(folder, mongo_url) as hub:
        device = await hub.enrol()
        with hub.core.live.reading() as console:
            await send(hub, device, 1, message_spans())
            await hub.post(TELEMETRY, log_batch([2], kind="gap", body=gap), device.headers)
            grown: list[object] = []
            expected = [{"of": "spans", "id": RUN}, {"of": "gaps", "id": device.id}, {"of": "events", "id": device.id}]
            async with asyncio.timeout(20):
                while not all(each in grown for each in expected):
                    frame = msgspec.json.decode(await console.next())
                    grown += [frame["data"]] if frame["topic"] == "grew" else []


@pytest.mark.parametrize(
    "change",
    [
        {"spans": []},
        {"spans": [message_spans().spans[0]] * (MOST_SPANS + 1)},
        {"message_id": "e" * 64},
        {"message_id": "m" * 200},
        {"spans": [{**msgspec.to_builtins(span("train", 1.0, 1.0)), "span_id": "0123456789abcdef\n"}]},
        {"spans": [{**msgspec.to_builtins(span("train", 1.0, 1.0)), "trace_id": "f" * 32}]},
        {"spans": [{**msgspec.to_builtins(span("train", 1.0, 1.0)), "parent_id": "0"}]},
        {"spans": [{**msgspec.to_builtins(span("train", 1.0, 1.0)), "duration": -0.1}]},
        {"spans": [{**msgspec.to_builtins(span("train", 1.0, 1.0)), "start": 1e300}]},
        {"spans": [{**msgspec.to_builtins(span("train", 1.0, 1.0)), "error": "x" * 513}]},
        {"spans": [{**msgspec.to_builtins(span("train", 1.0, 1.0)), "attributes": {str(n): "" for n in range(17)}}]},
    ],
)
async def test_spans_that_cannot_be_true_are_refused_by_their_number(
    folder: Path, mongo_url: str, change: dict[str, object]
) -> None:
    async with running_core(folder, mongo_url) as hub:
        device = await hub.enrol()
        told = problem(await send(hub, device, 7, {**msgspec.to_builtins(message_spans()), **change}), 422)
        assert "event 0 (seq 7)" in told.detail
        assert (await hub.core.spans.newest(RUN, Wanted())).items == []
