"""The numbers of attempts at rounds: they grow for the whole run, whatever dies in between.

Devices answer for no number that is not higher than the one before: a round that is begun anew has new secrets.
"""

import time
from pathlib import Path

from flip_runtime.atomic import write_file
from flip_update.secagg.keys import ROUNDS

_FILE = "secure-attempt"


class Attempts:
    def __init__(self, folder: Path) -> None:
        """`folder`: the run's."""
        self._path = folder / _FILE

    def next(self) -> int:
        """The first of as many as a circle serves, all of them on the disk when it returns. Milliseconds of the clock,
        or one more than before: so it grows although the clock is set back, or the folder is an older one from a
        backup."""
        try:
            before = int(self._path.read_text())
        except (FileNotFoundError, ValueError):
            before = 0
        number = max(before + 1, int(time.time() * 1000))
        write_file(self._path, str(number + ROUNDS - 1).encode())
        return number
