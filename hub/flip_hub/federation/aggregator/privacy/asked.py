"""Releases of noisy messages that devices were asked for, on the disk before anybody is asked.

Where a round that lost its ServerApp is begun anew with new masks, devices train and draw noise again: what they sent
before is a release that no checkpoint knows of.
"""

from collections.abc import Sequence
from pathlib import Path

import msgspec

from flip_hub.federation.privacy.schemas import Release
from flip_runtime.atomic import write_file
from flip_runtime.errors import Corrupt

_FILE = "private-releases"


class Asked:
    def __init__(self, folder: Path) -> None:
        """`folder`: the run's."""
        self._path = folder / _FILE

    def known(self) -> list[Release]:
        """All of the run so far. Raises `Corrupt`: nobody knows then what the run has spent."""
        try:
            return msgspec.json.decode(self._path.read_bytes(), type=list[Release])
        except FileNotFoundError:
            return []
        except msgspec.DecodeError as error:
            raise Corrupt(f"{self._path} says no more what the run has spent: {error}") from error

    def keep(self, releases: Sequence[Release]) -> None:
        """On the disk when it returns. Raises `OSError` on a full one: then nobody may be asked."""
        write_file(self._path, msgspec.json.encode(releases))
