"""Errors by who must act: operator, time, producer, this process, nobody.

Anything that is not a `FlipError` is a bug and crashes its service; the supervisor decides what happens then.
"""


class FlipError(Exception):
    """`hint` names the way out, for people."""

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint

    def __str__(self) -> str:
        message = super().__str__()
        return f"{message} ({self.hint})" if self.hint else message


class ConfigError(FlipError):
    """The operator must change something; the process ends with EX_CONFIG and is not restarted."""

    exit_status = 78  # EX_CONFIG of sysexits.h; systemd's RestartPreventExitStatus


class Unavailable(FlipError):
    """Time may heal it: retry with backoff."""

    def __init__(self, message: str, *, hint: str = "", retry_after: float | None = None) -> None:
        super().__init__(message, hint=hint)
        self.retry_after = retry_after
        """Seconds the other side asked for, if it did."""


class Rejected(FlipError):
    """The producer was wrong; the same request is never sent again."""


class Corrupt(FlipError):
    """Stored data is damaged: move it aside, rebuild, report the loss."""


class Fatal(FlipError):
    """The supervisor stops everything."""
