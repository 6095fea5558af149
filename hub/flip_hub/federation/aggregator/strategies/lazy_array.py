"""An array of Flower's whose bytes are fetched when they are read, and not kept: of many replies one is in memory."""

from collections.abc import Callable

from flwr.app import Array


class LazyArray(Array):
    def __init__(
        self,
        dtype: str,
        shape: tuple[int, ...],
        fetch: Callable[[], bytes],
        stype: str = "numpy.ndarray",
        *,
        size: int | None = None,
        object_id: str = "",
    ) -> None:
        """`fetch` gives what `data` of an ordinary one holds, the same each time; `size` of it, and Flower's name of
        the array, where they are known."""
        vars(self).update(dtype=dtype, shape=shape, stype=stype, _fetch=fetch, _size=size, _known=object_id)
        vars(self)["_is_dirty"] = not object_id

    @property
    def data(self) -> bytes:  # pyright: ignore[reportIncompatibleVariableOverride]  read-only, unlike Flower's
        return vars(self)["_fetch"]()

    @property
    def object_id(self) -> str:
        if known := vars(self)["_known"]:
            return known
        found = super().object_id
        vars(self).pop("_chunks", None)  # they hold the bytes
        return found


def size_of(array: Array) -> int:
    """Bytes of its `data`, which is read only where that is not known otherwise."""
    known = vars(array).get("_size") if isinstance(array, LazyArray) else None
    return len(array.data) if known is None else known
