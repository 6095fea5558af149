"""The session's side of a worker: a child process that runs the ClientApp of one run, warm until it is stopped.

Whatever the app does, a call has an answer: the reply, or what became of the process. It ends with this one.
"""

import asyncio
import contextlib
import logging
import signal
import socket
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

from flip_agent.federation.app_store import App
from flip_agent.federation.flower import APP_CRASHED, Item
from flip_agent.federation.frames import (
    HEADER,
    Answered,
    Call,
    Failed,
    FromWorker,
    Sign,
    ToSay,
    ToWorker,
    decode_from_worker,
    encode,
    length_of,
)
from flip_agent.samples import SOCKETS
from flip_runtime.child import Child
from flip_wire.statements import Signed

log = logging.getLogger(__name__)

_ENVIRONMENT = {
    # One core: the device has other things to do, and training on several is rarely faster for small models.
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "PYTHONWARNINGS": "ignore",
    "FLWR_TELEMETRY_ENABLED": "0",
    "FLWR_DISABLE_UPDATE_CHECK": "1",
}
_ENDS_WITHIN = 5.0
"""Seconds that a dying process may take after it has closed its files, for example to write a core."""


class Worker:
    def __init__(
        self,
        app: App,
        *,
        time_limit: float,
        sockets: Path,
        program: str = "flip_agent.federation.worker_process",
    ) -> None:
        """`time_limit` seconds for one message; `sockets`: the folder of the agent's, where a ClientApp finds this
        device's samples; `program`: the module that is run."""
        self.app = app
        self._program = program
        self._time_limit = time_limit
        self._environment = {**_ENVIRONMENT, "FLIP_APP_DIR": str(app.folder), SOCKETS: str(sockets)}
        self._child: Child | None = None
        self._limit: asyncio.Timeout | None = None
        self._paused_at: float | None = None
        """By the loop's clock; None while it may run."""
        self._left: float | None = None
        """Seconds of the time limit, while it is paused."""
        self._oom_kills = 0
        self.held = 0.0
        """Seconds that the last call was paused."""
        self._socket: socket.socket
        self._reader: asyncio.StreamReader
        self._writer: asyncio.StreamWriter

    async def call(
        self,
        call: Call,
        objects: AsyncIterator[Item],
        keep: Callable[[Item], Awaitable[None]],
        sign: Callable[[Sign], Awaitable[Signed]] | None = None,
    ) -> Answered | Failed:
        """Runs the ClientApp on a message; `keep` gets the reply's objects, `sign` what is to be signed of it, where
        the call says so. Starts the process when there is none."""
        self.held = 0.0
        try:
            async with asyncio.timeout(self._time_limit) as self._limit:
                await self._start()
                self._apply_pause()
                async for item in objects:
                    await self._send(item)
                await self._send(call)
                while not isinstance(frame := await self._receive(), Answered | Failed):
                    if isinstance(frame, Item):
                        await keep(frame)
                    elif sign is not None:
                        await self._send(ToSay(signed=await sign(frame)))
                return frame
        except TimeoutError:
            await self.stop()
            return Failed(code=APP_CRASHED, reason=f"the ClientApp gave no answer within {self._time_limit:g} s")
        except (EOFError, ConnectionError):
            return Failed(code=APP_CRASHED, reason=f"the ClientApp's process {await self._end()}")
        finally:
            self._limit = None

    def pause(self) -> None:
        """Stops the process where it is; meanwhile no time counts."""
        if self._paused_at is None:
            self._paused_at = _now()
        self._apply_pause()

    def resume(self) -> bool:
        """Whether it was paused."""
        paused_at, self._paused_at = self._paused_at, None
        if paused_at is not None:
            self.held += _now() - paused_at
        if self._limit is not None and self._left is not None:
            self._limit.reschedule(_now() + self._left)
        if paused_at is not None and self._child is not None:
            self._child.send_signal(signal.SIGCONT)
        self._left = None
        return paused_at is not None

    def _apply_pause(self) -> None:
        if self._paused_at is not None and self._limit is not None and (ends := self._limit.when()) is not None:
            self._left = ends - _now()
            self._limit.reschedule(None)
        if self._paused_at is not None and self._child is not None:
            self._child.send_signal(signal.SIGSTOP)

    async def stop(self) -> None:
        if self._child is not None:
            self._writer.close()
            await self._child.stop()
            self._child = None

    async def _start(self) -> None:
        if self._child is not None and self._child.running and not _hung_up(self._socket):
            return
        await self.stop()
        ours, theirs = socket.socketpair()
        with theirs:
            command = [sys.executable, "-m", self._program, str(theirs.fileno())]
            child = Child(
                "worker",
                [*command, str(self.app.folder), self.app.clientapp],
                environment=self._environment,
                pass_files=[theirs.fileno()],
                stop_within=1.0,  # what it computes would be thrown away anyhow
            )
            self._oom_kills = oom_kills()
            await child.start()
        self._socket = ours
        self._reader, self._writer = await asyncio.open_connection(sock=ours)
        self._child = child
        log.info("worker started", extra={"app": self.app.clientapp, "pid": child.pid})

    async def _end(self) -> str:
        """How the process ended, once it has closed its side of the socket."""
        if self._child is None:
            return "did not start"
        child = self._child
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_ENDS_WITHIN):
                await child.wait()
        await self.stop()
        status = child.returncode or 0
        if status == 0:
            return "left without an answer"
        if status == -signal.SIGKILL and oom_kills() > self._oom_kills:
            return "was killed, probably because the machine was out of memory"
        return f"ended by {signal.Signals(-status).name}" if status < 0 else f"ended with status {status}"

    async def _send(self, frame: ToWorker) -> None:
        self._writer.write(encode(frame))
        await self._writer.drain()

    async def _receive(self) -> FromWorker:
        header = await self._reader.readexactly(HEADER)
        return decode_from_worker(await self._reader.readexactly(length_of(header)))


def oom_kills(counters: Path = Path("/proc/vmstat")) -> int:
    """How many processes the kernel has killed since the machine started, for want of memory."""
    try:
        lines = counters.read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("oom_kill ")), 0)


def _hung_up(ours: socket.socket) -> bool:
    """Whether the process has ended, or soon will; the loop may not have noticed yet."""
    try:
        return ours.recv(1, socket.MSG_PEEK) == b""
    except BlockingIOError:
        return False
    except OSError:
        return True


def _now() -> float:
    return asyncio.get_running_loop().time()
