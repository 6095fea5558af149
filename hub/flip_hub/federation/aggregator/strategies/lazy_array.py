"""An array of Flower's whose bytes are fetched when they are read, and not kept: of many replies one is in memory."""

from collections.abc import Callable

from flwr.app import Array


class LazyArray(Array):
    def __init__(
        self, dtype: str, shape: tuple[int, ...], fetch: Callable[[], bytes], stype: str = "numpy.ndarray"
    ) -> None:
        """`fetch` gives what `data` of an ordinary one holds, the same each time."""
        vars(self).update(dtype=dtype, shape=shape, stype=stype, _fetch=fetch)

    @property
    def data(self) -> bytes:  # pyright: ignore[reportIncompatibleVariableOverride]  read-only, unlike Flower's
        return vars(self)["_fetch"]()
