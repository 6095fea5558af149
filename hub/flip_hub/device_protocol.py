"""A connection of the port of API and console: uvicorn's, but for plain requests of devices, which it answers itself.

uvicorn and what stands around the application take a third of a millisecond and some 20 KiB for each request under
way; a hub has ten thousand of these two under way and a thousand a second. What `device_request` does not read, and
what `device_front` refuses, goes to uvicorn's parser from its first byte, and so to the application.
"""

import asyncio
import time
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from flip_hub.device_front import Answer, DeviceFront
from flip_hub.device_request import LARGEST_BODY, TELEMETRY_BEGINS, DeviceRequest, Unread, read_request


class DeviceProtocol(HttpToolsProtocol):
    def __init__(self, front: DeviceFront, *args: Any, **named: Any) -> None:
        super().__init__(*args, **named)
        self._front = front
        self._held = b""
        """Of a request that is not whole, or that came while another was answered."""
        self._asked = b""
        """The request that is being answered, or waits to be read with those of other devices."""
        self._came = 0.0
        """When, by `time.perf_counter`."""
        self._task: asyncio.Task[None] | None = None
        """That answers it, if it takes one."""
        self._polls = False
        self._rests_since = 0.0
        """When something was last heard or said here."""
        self._in_message = False
        """Whether uvicorn's parser is."""
        self._stopping = False

    # ---- what comes -------------------------------------------------------------------------------------------------

    def data_received(self, data: bytes) -> None:
        if self._asked:
            self._held += data
            if len(self._held) > LARGEST_BODY:
                self.flow.pause_reading()
        elif self._in_message or (bool(self.cycle) and not self.cycle.response_complete):
            super().data_received(data)
        else:
            self._came = time.perf_counter()
            data = self._taken() + data
            if data.startswith(TELEMETRY_BEGINS):
                self._asked = data
                self._front.gather(self._read_asked, len(data))
            else:
                self._read(data)

    def _read_asked(self) -> None:
        data, self._asked = self._asked + self._taken(), b""
        self.flow.resume_reading()
        self._read(data)
        if self._stopping and not self._asked:
            self.shutdown()

    def _read(self, data: bytes) -> None:
        request = read_request(data)
        if isinstance(request, DeviceRequest):
            self._asked, self._polls = data, request.poll is not None
            self._task = self._front.answer(request, self.client[0] if self.client else "", self._came, self._reply)
            if self._task is not None:
                self.tasks.add(self._task)
                self._task.add_done_callback(self._ended)
        elif self.parser is None:  # the device has hung up in the middle
            return
        elif request is Unread.PARTIAL:
            self._held = data
            self._rest()
        else:
            super().data_received(data)

    def on_message_begin(self) -> None:
        self._in_message = True
        super().on_message_begin()

    def on_message_complete(self) -> None:
        self._in_message = False
        super().on_message_complete()

    # ---- what is answered -------------------------------------------------------------------------------------------

    def _reply(self, answer: Answer | None) -> None:
        data, self._asked, self._task = self._asked, b"", None
        if self.parser is None:  # the device has hung up
            return
        if answer is None:
            super().data_received(data)
        else:
            headers = self._front.headers(self.server_state.default_headers)
            self.transport.write(b"%s%s%s" % (answer.status_line, headers, answer.rest))
            self.server_state.total_requests += 1
            self.flow.resume_reading()
            self._rest()
        if self._stopping:
            self.shutdown()
        elif self._held:
            self.data_received(self._taken())

    def _rest(self) -> None:
        """Whoever is silent for too long from now on is cut off. One timer does for many requests."""
        self._rests_since = self.loop.time()
        if self.timeout_keep_alive_task is None and not self.transport.is_closing():
            self._wait(self.timeout_keep_alive)

    def _wait(self, seconds: float) -> None:
        self.timeout_keep_alive_task = self.loop.call_later(seconds, self.timeout_keep_alive_handler)

    def timeout_keep_alive_handler(self) -> None:
        left = self._rests_since + self.timeout_keep_alive - self.loop.time()
        if self._asked:
            self._wait(self.timeout_keep_alive)
        elif left > 0:
            self._wait(left)
        else:
            super().timeout_keep_alive_handler()

    def _ended(self, task: asyncio.Task[None]) -> None:
        self.tasks.discard(task)
        if task.cancelled():  # the hub is stopping
            self.transport.close()

    def _taken(self) -> bytes:
        held, self._held = self._held, b""
        return held

    # ---- the end ----------------------------------------------------------------------------------------------------

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        if self._task is not None and self._polls:
            self._task.cancel()  # nobody waits; a batch is written all the same

    def shutdown(self) -> None:
        if self._asked:
            self._stopping = True
        else:
            super().shutdown()
