"""The wire as it was when each version was given its number: agents in the field speak it, so it must go on being read.

A change that breaks one of these needs a new WIRE_VERSION and a file of its own beside the old one.
"""

import base64
from hashlib import sha256
from pathlib import Path

import msgspec
import pytest

from flip_wire.actions import ActionResult
from flip_wire.contributions import LateNeeds, LateReply, Receipt
from flip_wire.fleet import (
    DesiredState,
    DeviceId,
    DeviceToken,
    Enrolled,
    EnrolRequest,
    ReportedState,
    TokenRequest,
    token_assertion,
)
from flip_wire.health import HealthReport, Repair
from flip_wire.models import Manifest, ModelAssignment, RolledBack, Sha256, encode_manifest
from flip_wire.problem import Problem
from flip_wire.spans import Spans, span_id, trace_of_message
from flip_wire.statements import Statement, content_hash
from flip_wire.telemetry import Batch, BatchAccepted, Gap, SessionEvent
from flip_wire.version import HISTORY, WIRE_VERSION

GOLDEN = Path(__file__).parent / "golden"
KINDS = (
    EnrolRequest,
    Enrolled,
    TokenRequest,
    DeviceToken,
    DesiredState,
    ReportedState,
    HealthReport,
    Manifest,
    Problem,
    Batch,
    BatchAccepted,
    Gap,
    SessionEvent,
    Repair,
    Receipt,
    LateReply,
    LateNeeds,
    Spans,
    RolledBack,
    ActionResult,
)
NEW_IN: dict[type[msgspec.Struct], int] = {
    **dict.fromkeys((Repair, Receipt, LateReply, LateNeeds, Spans, RolledBack), 2),
    ActionResult: 3,
}
WRITTEN = [(kind, version) for version in sorted(HISTORY) for kind in KINDS if version >= NEW_IN.get(kind, 1)]


@pytest.mark.parametrize(("kind", "version"), WRITTEN)
def test_what_was_written_then_is_read_now_and_written_the_same(kind: type[msgspec.Struct], version: int) -> None:
    recorded = msgspec.json.decode((GOLDEN / f"v{version}.json").read_bytes(), type=dict[str, msgspec.Raw])
    value = msgspec.json.decode(recorded[kind.__name__], type=kind)
    if version == WIRE_VERSION:
        assert msgspec.json.decode(msgspec.json.encode(value)) == msgspec.json.decode(recorded[kind.__name__])


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_a_field_that_a_newer_end_adds_is_ignored(kind: type[msgspec.Struct]) -> None:
    recorded = msgspec.json.decode((GOLDEN / f"v{WIRE_VERSION}.json").read_bytes(), type=dict[str, dict[str, object]])
    known = msgspec.json.encode(recorded[kind.__name__])
    newer = msgspec.json.encode({**recorded[kind.__name__], "invented_later": {"by": "N+1"}})
    assert msgspec.json.decode(newer, type=kind) == msgspec.json.decode(known, type=kind)


def test_the_bytes_that_a_device_signs_do_not_change() -> None:
    signed = token_assertion("dev-0123456789ab", 1763740800.25, "bm9uY2U")
    assert base64.b64encode(signed) == b"ZmxpcC1kZXZpY2UtdG9rZW4KZGV2LTAxMjM0NTY3ODlhYgoxNzYzNzQwODAwLjI1MApibTl1WTJV"
    lived = token_assertion("dev-0123456789ab", 1763740800.25, "bm9uY2U", "00112233aabbccdd")
    assert lived == signed + b"\n00112233aabbccdd"


def test_the_bytes_that_a_hub_signs_for_a_model_version_do_not_change() -> None:
    assignment = ModelAssignment(model="digits", version=6, manifest=Sha256("c" * 64), size=900)
    assert assignment.statement() == b"flip-model-version\n" + b"c" * 64 + b"\n900\n6\ndigits"


def test_the_bytes_that_a_device_signs_of_a_contribution_do_not_change() -> None:
    base, content = content_hash({"arrays": "a" * 64}), content_hash({"metrics": "b" * 64, "arrays": "c" * 64})
    said = Statement(
        device_id=DeviceId("dev-0123456789ab"),
        run_id="run-0123456789ab",
        round=3,
        phase="train",
        base=base,
        content=content,
        samples=120.0,
        nonce="00112233aabbccdd",
    )
    fields = f'["dev-0123456789ab","run-0123456789ab",3,"train","{base}","{content}",120.0,"00112233aabbccdd"]'
    assert said.signed_content() == b"flip-contribution-1\n" + fields.encode()
    assert base == sha256(b'flip-content-1\n[["arrays","' + b"a" * 64 + b'"]]').hexdigest()
    assert content == content_hash({"arrays": "c" * 64, "metrics": "b" * 64})


def test_the_manifest_s_canonical_form_does_not_change() -> None:
    recorded = msgspec.json.decode((GOLDEN / "v1.json").read_bytes(), type=dict[str, msgspec.Raw])
    manifest = msgspec.json.decode(recorded["Manifest"], type=Manifest)
    assert encode_manifest(manifest) == (GOLDEN / "v1-manifest.json").read_bytes()


def test_the_ids_of_a_message_s_spans_do_not_change() -> None:
    recorded = msgspec.json.decode((GOLDEN / "v2.json").read_bytes(), type=dict[str, msgspec.Raw])
    traced = msgspec.json.decode(recorded["Spans"], type=Spans)
    trace = trace_of_message(traced.run_id, traced.message_id)
    assert [(span.trace_id, span.span_id) for span in traced.spans] == [
        (trace, span_id(trace, span.name)) for span in traced.spans
    ]


def test_the_history_ends_with_the_current_version() -> None:
    assert max(HISTORY) == WIRE_VERSION
