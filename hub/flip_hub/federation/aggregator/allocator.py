"""What a ServerApp frees of large pieces goes back to the system at once.

By itself the GNU C library keeps pieces of up to 32 MB that were freed for later, in up to eight heaps per processor:
a process that was given one array after the other then holds several that nobody needs (mallopt(3)).
"""

import ctypes
import gc

_M_MMAP_THRESHOLD = -3
_M_ARENA_MAX = -8
_LARGE = 512 * 1024
"""Bytes from which on a piece has pages of its own."""
_HEAPS = 2


def give_back_at_once() -> None:
    """With another C library everything stays as it is."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_MMAP_THRESHOLD, _LARGE)
        mallopt(_M_ARENA_MAX, _HEAPS)


def settle() -> None:
    """When all is loaded: what is there now is looked at no more by `drop_calls`."""
    gc.collect()
    gc.freeze()


def drop_calls() -> None:
    """After a call that carried a large piece: an `httpx.Response` refers to itself, and with it what it carried stays
    until Python looks for such circles. After `settle` that takes about a millisecond."""
    gc.collect()
