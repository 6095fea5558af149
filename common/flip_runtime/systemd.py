"""What systemd is told, as datagrams to `$NOTIFY_SOCKET` (sd_notify(3)), and the sockets that it holds for this process
(sd_listen_fds(3)); without their variables, nothing."""

import asyncio
import contextlib
import logging
import os
import socket
import time
from collections.abc import AsyncIterator, Callable, Sequence

log = logging.getLogger(__name__)

_FIRST_SOCKET = 3
"""SD_LISTEN_FDS_START."""


class Notifier:
    def __init__(self) -> None:
        self._address = os.environ.pop("NOTIFY_SOCKET", "")
        """Taken from the environment: the children are not the service."""
        self._watchdog = float(os.environ.pop("WATCHDOG_USEC", "0")) / 1e6

    def ready(self) -> None:
        self._tell("READY=1")

    def reloading(self) -> None:
        """`ready` ends it."""
        self._tell(f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1000}")

    def stopping(self) -> None:
        self._tell("STOPPING=1\nSTATUS=stopping")

    async def tell_status(self, sentences: AsyncIterator[str]) -> None:
        """Each of them, for `systemctl status`."""
        async for sentence in sentences:
            self._tell(f"STATUS={sentence}")

    async def feed_watchdog(self, stuck_parts: Callable[[], Sequence[str]] = tuple) -> None:
        """While this loop turns, and no part of the program is stuck: `stuck_parts` are the names of those."""
        stuck: list[str] = []
        while self._watchdog:
            before, stuck = stuck, list(stuck_parts())
            if not stuck:
                self._tell("WATCHDOG=1")
            elif stuck != before:
                log.error("stuck, the watchdog is not told of progress any more", extra={"parts": ", ".join(stuck)})
            await asyncio.sleep(self._watchdog / 2)

    def _tell(self, message: str) -> None:
        if not self._address:
            return
        # a name that begins with @ is an abstract socket, written with a null byte
        address = "\0" + self._address[1:] if self._address.startswith("@") else self._address
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as datagram:
            datagram.connect(address)
            datagram.sendall(message.encode())


def inherited_sockets() -> list[socket.socket]:
    """Those that a `.socket` unit holds, listening; connections wait in them while the service restarts."""
    count, owner = os.environ.pop("LISTEN_FDS", "0"), os.environ.pop("LISTEN_PID", "")
    os.environ.pop("LISTEN_FDNAMES", None)
    if owner != str(os.getpid()):
        return []
    sockets = [socket.socket(fileno=_FIRST_SOCKET + number) for number in range(int(count))]
    for each in sockets:
        each.set_inheritable(False)
    return sockets
