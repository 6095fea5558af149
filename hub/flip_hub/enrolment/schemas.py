"""Enrolment tokens as the API takes and shows them."""

from typing import Annotated

from msgspec import Meta, Struct

from flip_hub.devices.schemas import Labels, Note, Site

LONGEST_LIFETIME = 30 * 24 * 3600.0
"""Seconds."""
MOST_USES = 1000


class EnrolmentTokenRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    lifetime: float = 3600.0
    """Seconds, at most 30 days."""
    uses: Annotated[int, Meta(ge=1, le=MOST_USES)] = 1
    """Devices that may enrol with it."""
    site: Site = ""
    """Which they get, and the tags."""
    tags: Labels = []
    note: Note = ""
    """For people."""


class ListedToken(Struct, frozen=True, kw_only=True):
    """An enrolment token without what makes it one."""

    id: str
    created_at: float
    created_by: str
    expires_at: float
    uses: int
    left: int
    """Uses."""
    site: str
    tags: list[str]
    note: str
    revoked_at: float | None


class EnrolmentToken(Struct, frozen=True, kw_only=True):
    """Shown once; only its hash is kept."""

    id: str
    token: str
    expires_at: float
    uses: int
    url: str
    """Of the API, as the hub is configured; it may be reached by another."""
    ca_sha256: str
    """Of the authority that certifies this API, for `flip-agent enrol --ca-sha256`; empty where that is not the hub's
    own."""
    install_sha256: str
    """Of `GET /install.sh`, which installs the agent on a device and enrols it; empty where the hub has no packages."""
