"""Masked vectors of one round, on the disk: a hub then needs the memory of one, however many devices there are."""

import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Self


class Vectors:
    """A file without a name: it goes with the process, whose successor begins the round anew."""

    def __init__(self, folder: Path) -> None:
        self._file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115  closed by `__exit__`
        self._places: dict[str, tuple[int, int]] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def keep(self, device: str, answer: bytes) -> None:
        """Raises `OSError` on a full disk."""
        self._places[device] = (self._file.seek(0, 2), len(answer))
        self._file.write(answer)

    def of(self, devices: Iterable[str]) -> Iterator[tuple[str, bytes]]:
        for device in devices:
            start, size = self._places[device]
            self._file.seek(start)
            yield device, self._file.read(size)
