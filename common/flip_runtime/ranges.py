"""What values a setting may have: `load_config` refuses others, and names the range. Every number has one."""

from typing import Annotated, Literal

from msgspec import Meta

Port = Annotated[int, Meta(ge=1, le=65535)]
Period = Annotated[float, Meta(ge=0.05, le=86400)]
"""Seconds from one time to the next, or that something may take; a day at most."""
Patience = Annotated[float, Meta(ge=0, le=86400)]
"""Seconds; 0: none."""
Count = Annotated[int, Meta(ge=1, le=65536)]
Share = Annotated[float, Meta(ge=0, le=1)]
LogLevel = Literal["debug", "info", "warning", "error", "critical"]
