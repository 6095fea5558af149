"""How much memory this process holds, and giving back what it no longer needs."""

import ctypes
import gc
import resource
import sys
from pathlib import Path


def resident_bytes() -> int:
    """Where the kernel does not tell the present value, the largest so far."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except OSError:
        most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return most if sys.platform == "darwin" else most * 1024
    return pages * resource.getpagesize()


def give_memory_back() -> None:
    """After the imports: they leave 4 MiB of free blocks that glibc would keep. What lives now is taken to live for
    ever, so that no later collection looks at it."""
    release()
    gc.freeze()


def release() -> None:
    """After something large was let go, which may still hang in a cycle; milliseconds of nothing else in Python."""
    gc.collect()
    trim()


def trim() -> None:
    """Gives the kernel back what was freed. glibc only; elsewhere nothing happens."""
    malloc_trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if malloc_trim is not None:
        malloc_trim(0)
