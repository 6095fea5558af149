"""The looks of `flip-agent doctor`, each for itself: one that fails or hangs takes no other with it."""

import threading
import time
from collections.abc import Callable, Iterable

from msgspec import Struct

from flip_runtime.errors import FlipError
from flip_wire.health import Severity

WITHIN = 5.0
"""Seconds that a look beside the others may take; a hub behind a mobile link answers within two."""
_GOOD = ("ok", Severity.INFO)


class Verdict(Struct, frozen=True, kw_only=True):
    subject: str
    state: str
    """`ok`, `info`, `warning` or `critical`."""
    text: str
    repaired: str = ""

    @property
    def good(self) -> bool:
        return self.state in _GOOD


Look = Callable[[], Iterable[Verdict]]


def found(subject: str, look: Look) -> list[Verdict]:
    """What the look says, or why it could not say it."""
    try:
        return list(look())
    except FlipError as error:
        text = str(error)
    except Exception as error:  # whatever is wrong with this device, the other looks may name it
        text = f"this look failed: {type(error).__name__}: {error}"
    return [Verdict(subject=subject, state=Severity.CRITICAL, text=text)]


class Beside:
    """A look that goes on beside the others; its thread never holds up the end of the process."""

    def __init__(self, subject: str, asked: str, look: Look, within: float = WITHIN) -> None:
        """`asked`: whose answer it is."""
        self._verdicts: list[Verdict] = []
        text = f"{asked} did not answer within {within:g} s (is it overloaded, or does something between drop packets?)"
        self._silence = Verdict(subject=subject, state=Severity.WARNING, text=text)
        self._until = time.monotonic() + within
        self._thread = threading.Thread(target=self._work, args=(subject, look), name=subject, daemon=True)
        self._thread.start()

    def found(self) -> list[Verdict]:
        self._thread.join(max(0.0, self._until - time.monotonic()))
        return self._verdicts or [self._silence]

    def _work(self, subject: str, look: Look) -> None:
        self._verdicts = found(subject, look)
