"""What systemd is told, as datagrams to `$NOTIFY_SOCKET` (sd_notify(3)); without that variable, nothing."""

import asyncio
import contextlib
import logging
import os
import socket
import time
from collections.abc import Sequence

from flip_agent.hub.link import LinkState
from flip_agent.progress import Progress
from flip_agent.watched import Watched

log = logging.getLogger(__name__)


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

    async def run(self, link: Watched[LinkState], parts: Sequence[Progress]) -> None:
        """Passes on how things stand with the hub, and shows the watchdog that loop and parts make progress."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._follow(link))
            group.create_task(self._feed_watchdog(parts))

    async def _follow(self, link: Watched[LinkState]) -> None:
        async for state in link.values():
            self._tell(f"STATUS={state.sentence}")

    async def _feed_watchdog(self, parts: Sequence[Progress]) -> None:
        stuck: list[str] = []
        while self._watchdog:
            before, stuck = stuck, [part.name for part in parts if part.stuck]
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
