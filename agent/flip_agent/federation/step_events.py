"""What a device tells its hub of a message's steps."""

import logging

from flip_agent.federation.flower import APP_REFUSED, Instruction, Reply, error_of
from flip_wire.telemetry import SessionEvent

log = logging.getLogger(__name__)


def event_of(instruction: Instruction, step: str, detail: str = "", seconds: float = 0.0) -> SessionEvent:
    """Also a line of the log."""
    log.info("session step", extra={"step": step, "run": instruction.run_id, "detail": detail})
    return SessionEvent(
        run_id=instruction.run_id, message_id=instruction.message_id, step=step, detail=detail, seconds=seconds
    )


def event_of_reply(instruction: Instruction, reply: Reply, seconds: float) -> SessionEvent:
    error = error_of(reply)
    if error is None:
        return event_of(instruction, "trained", seconds=seconds)
    return event_of(instruction, "refused" if error.code == APP_REFUSED else "failed", error.reason or "")
