"""What systemd is told, as datagrams to `$NOTIFY_SOCKET` (sd_notify(3)); without that variable, nothing."""

import asyncio
import contextlib
import os
import socket

from flip_agent.hub_link import LinkState
from flip_agent.watched import Watched


class Notifier:
    def __init__(self) -> None:
        self._address = os.environ.pop("NOTIFY_SOCKET", "")
        """Taken from the environment: the children are not the service."""
        self._watchdog = float(os.environ.pop("WATCHDOG_USEC", "0")) / 1e6

    def ready(self) -> None:
        self._tell("READY=1")

    def stopping(self) -> None:
        self._tell("STOPPING=1")

    async def run(self, link: Watched[LinkState]) -> None:
        """Passes on how things stand with the hub, and shows the watchdog that the event loop turns."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._follow(link))
            group.create_task(self._feed_watchdog())

    async def _follow(self, link: Watched[LinkState]) -> None:
        async for state in link.values():
            self._tell(f"STATUS={state.sentence}")

    async def _feed_watchdog(self) -> None:
        while self._watchdog:
            self._tell("WATCHDOG=1")
            await asyncio.sleep(self._watchdog / 2)

    def _tell(self, message: str) -> None:
        if not self._address:
            return
        # a name that begins with @ is an abstract socket, written with a null byte
        address = "\0" + self._address[1:] if self._address.startswith("@") else self._address
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as datagram:
            datagram.connect(address)
            datagram.sendall(message.encode())
