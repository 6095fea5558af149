"""One integer for the protocol between agent and hub, with its dated history.

A hub speaks with agents of its own version and of the one before: the hub is updated first, then its devices.
"""

from typing import Final

WIRE_VERSION: Final = 5
OLDEST_SPOKEN: Final = WIRE_VERSION - 1

HEADER: Final = "Flip-Wire"
"""Of each call of a device: the version that it speaks."""
BEFORE_THE_HEADER: Final = 2
"""What a device speaks that does not say it."""

HISTORY: Final = {
    1: "2026-11-21: enrolment, device tokens, desired state, telemetry batches, model manifests",
    2: "2026-11-21: receipts and late contributions, app keys, the time a batch left, why training is held, repairs, "
    "spans, signed model versions, rollbacks",
    3: "2026-11-22: the version on each call, the life of the running agent in assertions, queued actions",
    4: "2026-11-22: terms and accounts in messages, the forms in which a device can send updates, "
    "what feedback says of a served version and how long its answers took, what is left of a byte budget and until "
    "when, signed contributions, what a receipt weighs and where it stands in its run's chain, "
    "a version's parts that stay on devices, and what answers there in their place",
    5: "2026-11-23: logs that are followed, and models that are tried",
}
