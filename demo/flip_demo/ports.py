"""Free ports on loopback."""

import random
import socket

# Below Linux's ephemeral range (32768 and up), so that no outgoing connection takes one in between.
_RANGE = range(12000, 32000)


def is_free(port: int, host: str = "127.0.0.1") -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
        return True


def free_port() -> int:
    """A port nobody listens on now; drawn at random, so that parallel tests rarely meet."""
    for _ in range(200):
        port = random.SystemRandom().choice(_RANGE)
        if is_free(port):
            return port
    raise RuntimeError(f"no free port in {_RANGE.start}-{_RANGE.stop - 1}")
