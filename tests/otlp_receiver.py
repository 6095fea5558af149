"""A real OTLP collector (rotel) as a process, and what it has received."""

import asyncio
import re
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from importlib.util import find_spec
from pathlib import Path

from msgspec import Struct

from flip_demo.ports import free_port
from flip_runtime.child import Child, port_open

_SPAN = re.compile(
    r"Trace ID\s+: (?P<trace>\S*)\n\s+Parent ID\s+: (?P<parent>\S*)\n"
    r"\s+ID\s+: (?P<span>\S*)\n\s+Name\s+: (?P<name>.*)\n"
)
_METRIC = re.compile(r"^\s*(?:-> )?Name\s*: (?P<name>[a-z]+[a-z._]+)$", re.MULTILINE)


class Received(Struct, frozen=True, kw_only=True):
    trace_id: str
    span_id: str
    parent_id: str
    name: str


class Receiver:
    def __init__(self, folder: Path) -> None:
        self.grpc, self.http = free_port(), free_port()
        self._log = folder / "collector.log"
        self._child: Child | None = None

    def endpoint(self, protocol: str) -> str:
        return f"http://127.0.0.1:{self.grpc if protocol == 'grpc' else self.http}"

    async def start(self) -> None:
        spec = find_spec("rotel")
        assert spec is not None
        assert spec.origin is not None
        command = [str(Path(spec.origin).parent / "rotel-agent"), "start", "--exporter", "blackhole"]
        command += ["--debug-log", "traces", "--debug-log", "metrics", "--debug-log-verbosity", "detailed"]
        command += ["--otlp-grpc-endpoint", f"127.0.0.1:{self.grpc}", "--otlp-http-endpoint", f"127.0.0.1:{self.http}"]
        self._child = Child("the collector", command, log_file=self._log)
        await self._child.start()
        await self._child.wait_until(self._answers, within=30.0)

    async def stop(self) -> None:
        if self._child is not None:
            await self._child.stop()
            self._child = None

    @property
    def spans(self) -> list[Received]:
        return [
            Received(trace_id=each["trace"], span_id=each["span"], parent_id=each["parent"], name=each["name"])
            for each in _SPAN.finditer(self._text())
        ]

    @property
    def metrics(self) -> set[str]:
        return {each["name"] for each in _METRIC.finditer(self._text())}

    async def until(self, count: int, name: str, within: float = 60.0) -> list[Received]:
        """Waits for so many spans of that name."""
        async with asyncio.timeout(within):
            while len(found := [span for span in self.spans if span.name == name]) < count:
                await asyncio.sleep(0.1)
        return found

    def _text(self) -> str:
        return self._log.read_text() if self._log.exists() else ""

    async def _answers(self) -> bool:
        return await port_open(self.grpc) and await port_open(self.http)


@asynccontextmanager
async def receiver(folder: Path) -> AsyncGenerator[Receiver]:
    """Running."""
    made = Receiver(folder)
    await made.start()
    try:
        yield made
    finally:
        await made.stop()
