"""What the audit can be asked."""

from msgspec import Struct


class Sought(Struct, frozen=True, kw_only=True):
    """Only entries that are so; None: whatever it is."""

    actor: str | None = None
    action: str | None = None
    subject: str | None = None
    refused: bool | None = None
    since: float | None = None
    until: float | None = None
    """Not included."""
