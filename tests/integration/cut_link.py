"""A network link to the hub that is cut as a cable is: no packet arrives, nothing is closed, and neither end is told.

A relay in whose sockets the kernel drops every packet (`SO_ATTACH_FILTER`): what the device sends is never
acknowledged, a new connection never answered. Root may do this on every Linux; where it is forbidden the tests fail.
"""

import asyncio
import ctypes
import socket
import struct
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

_ATTACH, _DETACH = 26, 27
"""Options of a socket: Linux's SO_ATTACH_FILTER, SO_DETACH_FILTER."""
_KEEP_NOTHING = struct.pack("HBBI", 0x06, 0, 0, 0)
"""A filter's only instruction: return, with no byte of the packet."""


class CutLink:
    def __init__(self, hub_port: int) -> None:
        self.cut_by_answer = False
        """The hub's next answer never arrives: with it the link is cut."""
        self._hub_port = hub_port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.setblocking(False)
        self._whole: set[socket.socket] = set()
        self._cut: set[socket.socket] = set()
        """Towards the device."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    @property
    def half_open(self) -> int:
        """Connections that only the device still believes in."""
        return len(self._cut)

    def cut(self) -> None:
        self.cut_by_answer = False
        for each in (self._listener, *self._whole):
            _drop_packets(each)
        self._cut |= self._whole
        self._whole.clear()

    def mend(self) -> None:
        """For new connections: the old ones were forgotten on the way."""
        self._listener.setsockopt(socket.SOL_SOCKET, _DETACH, 0)

    @asynccontextmanager
    async def running(self) -> AsyncGenerator["CutLink"]:
        accepting = asyncio.create_task(self._accept())
        try:
            yield self
        finally:
            accepting.cancel()
            await asyncio.gather(accepting, return_exceptions=True)
            for each in (self._listener, *self._cut, *self._whole):
                each.close()

    async def _accept(self) -> None:
        async with asyncio.TaskGroup() as group:
            while True:
                device, _ = await asyncio.get_running_loop().sock_accept(self._listener)
                group.create_task(self._relay(device))

    async def _relay(self, device: socket.socket) -> None:
        """A connection that was cut is kept open until the end."""
        self._whole.add(device)
        with socket.socket() as hub:
            hub.setblocking(False)
            try:
                await asyncio.get_running_loop().sock_connect(hub, ("127.0.0.1", self._hub_port))
                there = asyncio.create_task(self._pump(device, hub, device))
                back = asyncio.create_task(self._pump(hub, device, device))
                try:
                    await asyncio.wait({there, back}, return_when=asyncio.FIRST_COMPLETED)
                finally:
                    there.cancel()
                    back.cancel()
                    await asyncio.gather(there, back, return_exceptions=True)
            finally:
                if device in self._whole:
                    self._whole.remove(device)
                    device.close()

    async def _pump(self, source: socket.socket, to: socket.socket, device: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        while data := await loop.sock_recv(source, 2**16):
            if self.cut_by_answer and to is device:
                self.cut()
            if device in self._cut:
                return
            await loop.sock_sendall(to, data)


def _drop_packets(of: socket.socket) -> None:
    code = ctypes.create_string_buffer(_KEEP_NOTHING, len(_KEEP_NOTHING))
    of.setsockopt(socket.SOL_SOCKET, _ATTACH, struct.pack("HL", 1, ctypes.addressof(code)))
