"""Flower's Control API, played."""

from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import asynccontextmanager

from flwr.proto.control_pb2 import StreamLogsResponse

from flip_hub.federation.control import FlowerStatus
from flip_hub.federation.schemas import Value
from flip_runtime.errors import Rejected, Unavailable


class ScriptedControl:
    """A SuperLink that does what a test says."""

    def __init__(self) -> None:
        self.runs: dict[str, FlowerStatus] = {}
        self.started: list[Mapping[str, Value]] = []
        self.text = ""
        self.lines: list[tuple[float, str]] = []
        self.away = False
        self.refuses = ""

    def set(self, run: str, status: str, sub_status: str = "", details: str = "") -> None:
        self.runs[run] = FlowerStatus(status=status, sub_status=sub_status, details=details)

    async def reach(self) -> None:
        self._answer()

    async def start(self, fab: bytes, config: Mapping[str, Value]) -> str:
        self._answer()
        if self.refuses:
            raise Rejected(self.refuses)
        self.started.append(config)
        run = str(9_222_247_651_284_241_899 + len(self.started))
        self.set(run, "pending")
        return run

    async def stop(self, flower_run_id: str) -> bool:
        self._answer()
        self.set(flower_run_id, "finished", "stopped")
        return True

    async def status(self, flower_run_id: str) -> FlowerStatus | None:
        self._answer()
        return self.runs.get(flower_run_id)

    async def log(self, flower_run_id: str) -> str:
        self._answer()
        return self.text

    @asynccontextmanager
    async def follow_log(self, flower_run_id: str, after: float) -> AsyncGenerator[AsyncIterator[bytes] | None]:
        """`lines` later than that, each with its time."""
        self._answer()

        async def frames() -> AsyncGenerator[bytes]:
            for at, line in self.lines:
                if at > after:
                    message = StreamLogsResponse(log_output=line, latest_timestamp=at).SerializeToString()
                    frame = len(message).to_bytes(4, "big") + message
                    yield frame[:3]
                    yield frame[3:]

        yield frames()

    def _answer(self) -> None:
        if self.away:
            raise Unavailable("the SuperLink does not answer")
