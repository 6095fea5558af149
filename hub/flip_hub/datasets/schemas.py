"""Datasets as the API shows them."""

from msgspec import Struct

from flip_wire.models import Sha256


class DatasetRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`POST /api/v1/datasets`."""

    name: str
    upload: str
    """Id of a finished upload: the file."""
    description: str = ""
    """At most 1,000 characters."""


class Dataset(Struct, frozen=True, kw_only=True):
    """A file of data that no device has; what is in it is its app's affair."""

    name: str
    sha256: Sha256
    size: int
    description: str
    added_by: str
    """A user."""
    added_at: float
