"""What a message goes through on this device: one table. A step is on disk before it is taken, so that after a power
cut it is taken again; each is harmless when repeated, and a finished reply is never trained again.

Up to `PUSHING` one message is carried at a time (`session`); from `PUSHED` on its fate is awaited beside the next
(`settlement`).
"""

from collections.abc import Mapping
from enum import StrEnum


class Step(StrEnum):
    """What is to be done next with a message."""

    PULLED = "pulled"
    """It is ours, and Flower hands it out only once: fetch its app and objects, then confirm."""
    CONFIRMED = "confirmed"
    """All of it lies here; the hub has dropped its copy."""
    TRAINING = "training"
    """The worker runs the ClientApp; of one that was cut off nothing is kept."""
    READY = "ready"
    """The reply lies here whole."""
    PUSHING = "pushing"
    """The hub may have part of the reply."""
    PUSHED = "pushed"
    """The hub has all of it, or has refused it: only its receipt tells what became of it."""
    LATE = "late"
    """No round takes it any more: it goes to the hub as a late contribution."""
    FORGOTTEN = "forgotten"
    """Nothing of it is left."""


class Outcome(StrEnum):
    DONE = "done"
    REFUSED = "refused"
    """This device cannot run the app: an error reply says why."""
    ANSWERED = "answered"
    """The reply lies here already: the same was asked before the run went on with another ServerApp."""
    GONE = "gone"
    """The run has ended, or Flower has forgotten this device."""


ONLINE = frozenset({Step.PULLED, Step.PUSHING})
"""Steps that need the fleet; the others are taken also while there is no network."""
SETTLING = frozenset({Step.PUSHED, Step.LATE})
"""Steps that do not hold up the next message."""

NEXT: Mapping[tuple[Step, Outcome], Step] = {
    (Step.PULLED, Outcome.DONE): Step.CONFIRMED,
    (Step.PULLED, Outcome.REFUSED): Step.READY,
    (Step.PULLED, Outcome.ANSWERED): Step.READY,
    (Step.PULLED, Outcome.GONE): Step.FORGOTTEN,
    (Step.CONFIRMED, Outcome.DONE): Step.TRAINING,
    (Step.CONFIRMED, Outcome.GONE): Step.FORGOTTEN,
    (Step.TRAINING, Outcome.DONE): Step.READY,
    (Step.TRAINING, Outcome.GONE): Step.FORGOTTEN,
    (Step.READY, Outcome.DONE): Step.PUSHING,
    (Step.PUSHING, Outcome.DONE): Step.PUSHED,
    (Step.PUSHING, Outcome.GONE): Step.PUSHED,
    (Step.PUSHED, Outcome.DONE): Step.FORGOTTEN,
    (Step.PUSHED, Outcome.GONE): Step.LATE,
    (Step.LATE, Outcome.DONE): Step.FORGOTTEN,
    (Step.LATE, Outcome.GONE): Step.FORGOTTEN,
}
