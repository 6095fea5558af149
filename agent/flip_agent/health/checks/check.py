"""One thing to look at, the condition that it may find, and what the agent does about it."""

from collections.abc import Callable
from dataclasses import dataclass

from flip_agent.health.conditions import Declaration
from flip_wire.health import Repair


def _nothing() -> str:
    return ""


@dataclass(frozen=True, slots=True)
class Check:
    """Both are called on the event loop and take some milliseconds at most."""

    declaration: Declaration
    look: Callable[[], str]
    """What is wrong, in words for people; empty when all is well."""
    mend: Callable[[], str] = _nothing
    """Does what can be done about it, and says what was done; empty when nothing was."""

    def repaired(self) -> Repair | None:
        """None when nothing was done."""
        done = self.mend()
        return Repair(code=self.declaration.code, text=done) if done else None
