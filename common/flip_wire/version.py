"""One integer for the protocol between agent and hub, with its dated history."""

from typing import Final

WIRE_VERSION: Final = 1

HISTORY: Final = {
    1: "2026-11-21: enrolment, device tokens, desired state, telemetry batches, model manifests",
}
