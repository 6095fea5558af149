"""Which trace a request belongs to, as W3C's trace context says it."""

import json
import logging

import pytest

from flip_runtime.logs import JsonFormatter, LineFormatter
from flip_runtime.trace import Trace, current_trace_id, enter_trace, next_trace

CALLER = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


def test_a_request_goes_on_with_its_callers_trace() -> None:
    trace = next_trace(CALLER)
    assert trace.trace_id == "4bf92f3577b34da6a3ce929d0e0e4736"
    assert trace.parent_id == "00f067aa0ba902b7"
    assert trace.sampled is True
    assert trace.span_id not in (trace.parent_id, next_trace(CALLER).span_id)


def test_a_callers_wish_not_to_be_sampled_is_passed_on() -> None:
    trace = next_trace(CALLER[:-1] + "0")
    assert trace.sampled is False
    assert trace.traceparent().endswith("-00")


@pytest.mark.parametrize(
    "header",
    [
        "",
        "hello",
        CALLER.upper(),
        CALLER + "-more",
        "ff" + CALLER[2:],
        "00-" + "0" * 32 + "-00f067aa0ba902b7-01",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-" + "0" * 16 + "-01",
        CALLER + "\n",
    ],
)
def test_a_malformed_header_begins_a_new_trace(header: str) -> None:
    trace = next_trace(header)
    assert len(trace.trace_id) == 32
    assert trace.trace_id != "4bf92f3577b34da6a3ce929d0e0e4736"
    assert trace.parent_id == ""


def test_a_later_version_is_read_as_far_as_it_is_known() -> None:
    assert next_trace("01" + CALLER[2:] + "-more").trace_id == "4bf92f3577b34da6a3ce929d0e0e4736"


def test_a_log_line_names_the_trace_it_belongs_to() -> None:
    record = logging.makeLogRecord({"msg": "a fact", "name": "flip", "levelname": "INFO"})
    assert "trace_id" not in JsonFormatter().format(record)
    enter_trace(Trace("a" * 32, "b" * 16))
    try:
        assert current_trace_id() == "a" * 32
        assert json.loads(JsonFormatter().format(record))["trace_id"] == "a" * 32
        assert f"trace_id={'a' * 32}" in LineFormatter().format(record)
    finally:
        enter_trace(None)
