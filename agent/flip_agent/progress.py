"""Whether a part that works step by step is stuck in one. Waiting for work, or for a better time, is no step."""

import time
from collections.abc import Generator, Iterable
from contextlib import contextmanager


class Progress:
    """`within`: seconds that one step may take before the part counts as stuck."""

    def __init__(self, name: str, within: float) -> None:
        self.name = name
        self.within = within
        self._began: float | None = None

    @contextmanager
    def step(self) -> Generator[None]:
        self._began = time.monotonic()
        try:
            yield
        finally:
            self._began = None

    @property
    def stuck(self) -> bool:
        return self._began is not None and time.monotonic() - self._began > self.within


def stuck(parts: Iterable[Progress]) -> list[str]:
    """Names of those that are."""
    return [part.name for part in parts if part.stuck]
