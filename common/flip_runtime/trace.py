"""Which request this code runs for: W3C trace context (https://www.w3.org/TR/trace-context/) in a context variable.

Tasks and threads that are started for a request inherit it; logs and problem details name it.
"""

import os
import re
from contextvars import ContextVar
from typing import NamedTuple

_TRACEPARENT = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")
_SAMPLED = 0x01


class Trace(NamedTuple):
    """One step of a trace."""

    trace_id: str
    """32 hexadecimal digits."""
    span_id: str
    """16 hexadecimal digits: of the step that is done here."""
    parent_id: str = ""
    """Of the caller's step; empty for the first of a trace."""
    sampled: bool | None = None
    """What the caller decided; None when it did not."""

    def traceparent(self) -> str:
        """As a header."""
        return f"00-{self.trace_id}-{self.span_id}-{'00' if self.sampled is False else '01'}"


_current: ContextVar[Trace | None] = ContextVar("flip_trace", default=None)


def current_trace() -> Trace | None:
    return _current.get()


def current_trace_id() -> str:
    """Empty outside of any trace."""
    trace = _current.get()
    return "" if trace is None else trace.trace_id


def current_traceparent() -> str:
    """As a header; empty outside of any trace."""
    trace = _current.get()
    return "" if trace is None else trace.traceparent()


def enter_trace(trace: Trace | None) -> None:
    """For the rest of this task, and whatever it starts."""
    _current.set(trace)


def next_trace(traceparent: str = "") -> Trace:
    """A step after the caller's; the first of a new trace when the header is missing or malformed."""
    found = _TRACEPARENT.fullmatch(traceparent)
    if found is None or not _allowed(found):
        fresh = os.urandom(24).hex()
        return Trace(fresh[:32], fresh[32:])
    return Trace(found[2], os.urandom(8).hex(), found[3], bool(int(found[4], 16) & _SAMPLED))


def _allowed(found: re.Match[str]) -> bool:
    """Version ff is no version, version 00 has nothing behind its flags, and zeros are no id."""
    version, trace_id, span_id, _, rest = found.groups()
    return version != "ff" and not (version == "00" and rest) and bool(trace_id.strip("0") and span_id.strip("0"))
