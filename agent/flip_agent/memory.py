"""How much memory this process holds, and giving back what it no longer needs."""

import contextlib
import ctypes
import gc
import resource
import sys
from pathlib import Path

_libc = ctypes.CDLL(None)
_M_MMAP_THRESHOLD = -3
_LARGE = 2**17
"""Bytes of a block that the kernel is asked for alone, and gets back as soon as it is freed."""
_MADV_DONTNEED = 4


def resident_bytes() -> int:
    """Where the kernel does not tell the present value, the largest so far."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except OSError:
        most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return most if sys.platform == "darwin" else most * 1024
    return pages * resource.getpagesize()


def hoard_nothing() -> None:
    """For a process that loads and drops models: glibc would keep what they leave between other blocks. glibc only;
    elsewhere nothing happens."""
    mallopt = getattr(_libc, "mallopt", None)
    if mallopt is not None:
        mallopt(_M_MMAP_THRESHOLD, _LARGE)  # unless it is said, it grows with each large block that is freed


def give_memory_back() -> None:
    """After imports, which leave free blocks that glibc would keep. What lives now is taken to live for ever: no later
    collection looks at it."""
    release()
    gc.freeze()
    _unmap_code()


def release() -> None:
    """After something large was let go, which may still hang in a cycle; milliseconds of nothing else in Python."""
    gc.collect()
    trim()


def trim() -> None:
    """Gives the kernel back what was freed. glibc only; elsewhere nothing happens."""
    malloc_trim = getattr(_libc, "malloc_trim", None)
    if malloc_trim is not None:
        malloc_trim(0)


def _unmap_code() -> None:
    """What libraries run once, to start, counts as this process's memory for as long as it is mapped: 20 of 115 MB.
    What is used again is mapped again, page by page, from the kernel's cache. Linux only."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/self/maps").read_text().splitlines():
            span, rights, _, _, inode, *_ = line.split()
            if rights == "r-xp" and inode != "0":  # the file's own, never written: nothing is lost
                start, end = (int(address, 16) for address in span.split("-"))
                _libc.madvise(ctypes.c_void_p(start), ctypes.c_size_t(end - start), _MADV_DONTNEED)
