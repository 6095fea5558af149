"""Free ports on loopback."""

import atexit
import random
import socket
import threading
from collections.abc import Iterator

# Below Linux's ephemeral range (32768 and up), so that no outgoing connection takes one in between; in even thousands,
# so that an inference server's second port, 1000 above, is none that another test draws.
_BLOCK = 100
_BLOCKS = [first for first in range(12000, 32000, _BLOCK) if first // 1000 % 2 == 0]

_lock = threading.Lock()


def is_free(port: int, host: str = "127.0.0.1") -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
        return True


def free_port() -> int:
    """A port nobody listens on now, and that no other call gives: also none in another process that is still there."""
    with _lock:
        for port in _drawn:
            if is_free(port) and is_free(port + 1000):
                return port
    raise RuntimeError(f"no free port from {_BLOCKS[0]} to {_BLOCKS[-1] + _BLOCK}")


def _ports() -> Iterator[int]:
    """In blocks that belong to this process as long as it lives: there may be seconds between drawing a port and
    listening on it, and parallel tests would meet there."""
    for first in random.SystemRandom().sample(_BLOCKS, len(_BLOCKS)):
        claim = socket.socket(socket.AF_UNIX)
        try:
            claim.bind(f"\0flip-ports-{first}")
        except OSError:
            claim.close()
            continue
        atexit.register(claim.close)
        yield from range(first, first + _BLOCK)


_drawn = _ports()
