"""The lab's end of its line to ServerApps: tells them the time, and hears what they report."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from flip_hub.federation.lab_frames import Now, Waits, decode_from_server_app, line
from flip_hub.federation.schemas import MessagesPushed, RunReport
from flip_lab.timeline import Timeline

_LONGEST = 2**26
"""Bytes of a line: a report names each device of a round."""


class ServerApps:
    def __init__(self, path: Path, timeline: Timeline, heard: Callable[[RunReport], None]) -> None:
        self._path = path
        self._timeline = timeline
        self._heard = heard
        self.failure: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        """Has an error when the lab cannot go on."""

    @asynccontextmanager
    async def answered(self) -> AsyncGenerator[None]:
        server = await asyncio.start_unix_server(self._converse, self._path, limit=_LONGEST)
        self._path.chmod(0o600)
        try:
            yield
        finally:
            server.close()

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while text := await reader.readline():
                frame = decode_from_server_app(text)
                if not isinstance(frame, Waits):
                    self._heard(frame.report)
                    continue
                await self._timeline.go_on(frame.seconds if frame.left is None else frame.left)
                writer.write(line(Now(seconds=self._timeline.now)))
                await writer.drain()
        except ConnectionError:
            pass  # it was killed: the hub begins another one
        except Exception as error:  # of a device, for example: the lab is over, and says why
            if not self.failure.done():
                self.failure.set_exception(error)
        finally:
            writer.close()


def nodes_of(report: RunReport) -> list[str]:
    """To whom there is a message now."""
    return report.nodes if isinstance(report, MessagesPushed) and report.messages else []
