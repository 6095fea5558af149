"""Free ports on loopback."""

import random
import socket

# Below Linux's ephemeral range (32768 and up), so that no outgoing connection takes one in between; in even thousands,
# so that an inference server's second port, 1000 above, is none that another test draws.
_PORTS = [port for port in range(12000, 32000) if port // 1000 % 2 == 0]


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
        port = random.SystemRandom().choice(_PORTS)
        if is_free(port) and is_free(port + 1000):
            return port
    raise RuntimeError(f"no free port from {_PORTS[0]} to {_PORTS[-1]}")
