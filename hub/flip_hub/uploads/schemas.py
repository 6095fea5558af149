"""Uploads as the API shows them, and as they lie on the disk."""

from msgspec import Struct

from flip_wire.models import Sha256


class Upload(Struct, frozen=True, kw_only=True):
    """A file on its way, or here and not yet used."""

    id: str
    name: str
    """As whoever uploads it calls it."""
    size: int
    """Bytes."""
    offset: int
    """Bytes that are here."""
    sha256: Sha256 | None
    """Of the whole file, once it is here."""
    expires_at: float
    """When it is thrown away, unless more of it comes."""


class UploadRecord(Struct, frozen=True, kw_only=True):
    """Beside the bytes of each upload: what cannot be seen from them."""

    owner: str
    name: str
    size: int
    metadata: str
    """`Upload-Metadata` as it was sent."""
    wanted: str = ""
    """The SHA-256 that the file shall have, where that was said."""
    unverified: int | None = None
    """Bytes beyond this are of a part whose checksum is still to be looked at."""
    sha256: Sha256 | None = None
