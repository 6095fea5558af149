"""A connection of the port of API and console: uvicorn's, but for plain requests of devices, which it answers itself.

uvicorn and what stands around the application take a third of a millisecond and some 20 KiB for each request under
way; a hub has ten thousand of these two under way and a thousand a second. What `device_request` does not read, and
what `device_front` refuses, goes to uvicorn's parser from its first byte, and so to the application.
"""

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from flip_hub.device_front import DeviceFront
from flip_hub.device_request import LARGEST_BODY, DeviceRequest, Unread, read_request


class DeviceProtocol(HttpToolsProtocol):
    def __init__(self, front: DeviceFront, *args: Any, **named: Any) -> None:
        super().__init__(*args, **named)
        self._front = front
        self._held = b""
        """Of a request that is not whole, or that came while another was answered."""
        self._answering: asyncio.Task[None] | None = None
        self._polls = False
        self._in_message = False
        """Whether uvicorn's parser is."""
        self._stopping = False

    # ---- what comes -------------------------------------------------------------------------------------------------

    def data_received(self, data: bytes) -> None:
        if self._answering is not None:
            self._held += data
            if len(self._held) > LARGEST_BODY:
                self.flow.pause_reading()
        elif self._in_message or (bool(self.cycle) and not self.cycle.response_complete):
            super().data_received(data)
        else:
            self._read(self._held + data)

    def _read(self, data: bytes) -> None:
        request, self._held = read_request(data), b""
        if isinstance(request, DeviceRequest):
            self._unset_keepalive_if_required()
            self._polls = request.poll is not None
            self._answering = self.loop.create_task(self._answer(request, data))
            self.tasks.add(self._answering)
            self._answering.add_done_callback(self.tasks.discard)
        elif request is Unread.PARTIAL:
            self._unset_keepalive_if_required()
            self._held = data
        else:
            super().data_received(data)

    def on_message_begin(self) -> None:
        self._in_message = True
        super().on_message_begin()

    def on_message_complete(self) -> None:
        self._in_message = False
        super().on_message_complete()

    # ---- what is answered -------------------------------------------------------------------------------------------

    async def _answer(self, request: DeviceRequest, data: bytes) -> None:
        address = self.client[0] if self.client else ""
        try:
            answer = await self._front.answer(request, address)
        except asyncio.CancelledError:
            self.transport.close()
            raise
        self._answering = None
        if self.parser is None:  # the device has hung up
            return
        if answer is None:
            super().data_received(data)
        else:
            dated = b"".join([b"%s: %s\r\n" % header for header in self.server_state.default_headers])
            self.transport.write(answer.status_line + dated + answer.rest)
            self.on_response_complete()
        if self._stopping:
            self.shutdown()
        elif self._held:
            self.data_received(self._taken())

    def _taken(self) -> bytes:
        held, self._held = self._held, b""
        return held

    # ---- the end ----------------------------------------------------------------------------------------------------

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        if self._answering is not None and self._polls:
            self._answering.cancel()  # nobody waits; a batch is written all the same

    def shutdown(self) -> None:
        if self._answering is None:
            super().shutdown()
        else:
            self._stopping = True
