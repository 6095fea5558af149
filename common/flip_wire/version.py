"""One integer for the protocol between agent and hub, with its dated history."""

from typing import Final

WIRE_VERSION: Final = 2

HISTORY: Final = {
    1: "2026-11-21: enrolment, device tokens, desired state, telemetry batches, model manifests",
    2: "2026-11-21: receipts and late contributions, app keys, the time a batch left, why training is held, repairs, "
    "spans, signed model versions, rollbacks",
}
