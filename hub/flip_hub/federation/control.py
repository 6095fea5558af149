"""Flower's Control API (protobuf over HTTP on the SuperLink's loopback port): start, follow and stop its runs.

Speaks the wire itself: every call is bounded in time and cancellable. An unreachable SuperLink is `Unavailable`; what
it refuses is `Rejected`; a run it does not know (its memory ends with its process) is None.
"""

import hashlib
import re
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import TypeVar

import httpx
import msgspec
from flwr.common.serde import user_config_to_proto
from flwr.proto.control_pb2 import (
    ListRunsRequest,
    ListRunsResponse,
    StartRunRequest,
    StartRunResponse,
    StopRunRequest,
    StopRunResponse,
    StreamLogsRequest,
    StreamLogsResponse,
)
from flwr.proto.fab_pb2 import Fab
from google.protobuf.message import DecodeError, Message
from msgspec import Struct

from flip_hub.federation.schemas import Value
from flip_runtime.errors import Rejected, Unavailable

Response = TypeVar("Response", bound=Message)

LOG_LIMIT = 256 * 2**10
"""Characters of a log that are kept, from its end."""
_LOG_FRAME_LIMIT = 64 * 2**20
_LOG_WAIT = 2.0  # seconds: a run that has logged nothing yet has nothing to send, and keeps the stream open
_FRAME_HEADER = 4  # bytes, big endian: the length of the message that follows
_COLOURS = re.compile(r"\x1b\[[0-9;]*m")
_NO_RUN = "1"
"""Flower's numbers are random ones of 64 bits."""
_RUN_ID_NOT_FOUND = 16  # of flwr's ApiErrorCode, whose package would bring FastAPI
_RUN_ALREADY_FINISHED = 18
PROTOBUF = "application/protobuf"
PROTOBUF_STREAM = "application/flower-protobuf-stream"


class FlowerStatus(Struct, frozen=True, kw_only=True):
    status: str
    """`pending`, `starting`, `running` or `finished`."""
    sub_status: str
    """Of a finished run: `completed`, `failed` or `stopped`."""
    details: str

    @property
    def finished(self) -> bool:
        return self.status == "finished"


class _ApiError(Struct, frozen=True):
    """The JSON that Flower answers with an error status."""

    code: int = 0
    detail: str = ""
    extra: str | None = None


class _Refused(Rejected):
    def __init__(self, message: str, code: int) -> None:
        super().__init__(message)
        self.code = code


class RunControl:
    def __init__(self, address: str) -> None:
        """`address` is the SuperLink's HOST:PORT."""
        # No connection outlives its call, so there is nothing to close; a proxy of the environment is not for loopback.
        self._http = httpx.AsyncClient(
            base_url=f"http://{address}/v1/control",
            timeout=httpx.Timeout(30.0, connect=5.0),
            limits=httpx.Limits(max_keepalive_connections=0),
            trust_env=False,
        )

    async def reach(self) -> None:
        """Raises `Unavailable` while the SuperLink does not answer."""
        await self.status(_NO_RUN)

    async def start(self, fab: bytes, config: Mapping[str, Value]) -> str:
        """Submits the app with overrides of its configuration; gives Flower's run id, a decimal number."""
        request = StartRunRequest(
            fab=Fab(hash_str=hashlib.sha256(fab).hexdigest(), content=fab),
            override_config=user_config_to_proto(dict(config)),
        )
        run_id = (await self._call("start-run", request, StartRunResponse())).run_id
        if run_id == 0:
            raise Rejected("the SuperLink did not take the app", hint="its log says why")
        return str(run_id)

    async def stop(self, flower_run_id: str) -> bool:
        """Whether there was still something to stop."""
        try:
            await self._call("stop-run", StopRunRequest(run_id=int(flower_run_id)), StopRunResponse())
        except _Refused as refusal:
            if refusal.code in (_RUN_ID_NOT_FOUND, _RUN_ALREADY_FINISHED):
                return False
            raise
        return True

    async def status(self, flower_run_id: str) -> FlowerStatus | None:
        """None when the SuperLink does not know the run."""
        run_id = int(flower_run_id)
        try:
            runs = await self._call("list-runs", ListRunsRequest(run_id=run_id), ListRunsResponse())
        except _Refused as refusal:
            if refusal.code == _RUN_ID_NOT_FOUND:
                return None
            raise
        if run_id not in runs.run_dict:
            return None
        status = runs.run_dict[run_id].status
        return FlowerStatus(status=status.status, sub_status=status.sub_status, details=status.details)

    async def log(self, flower_run_id: str) -> str:
        """What the ServerApp wrote so far (its end, when long); empty when nothing, or when the run is not known.

        The stream's first message holds all there is; a run that goes on would send more, which is not waited for.
        """
        request = StreamLogsRequest(run_id=int(flower_run_id), after_timestamp=0.0)
        message = StreamLogsResponse()
        try:
            async with self._post("stream-logs", request, accept=PROTOBUF_STREAM, read=_LOG_WAIT) as response:
                message.ParseFromString(await _first_frame(response))
        except _Refused as refusal:
            if refusal.code == _RUN_ID_NOT_FOUND:
                return ""
            raise
        return _COLOURS.sub("", message.log_output)[-LOG_LIMIT:]

    @asynccontextmanager
    async def follow_log(self, flower_run_id: str, after: float) -> AsyncGenerator[AsyncIterator[bytes] | None]:
        """What the ServerApp writes from that Unix time on until the run ends, as frames of Flower's stream; None when
        the SuperLink does not know the run. A stream that breaks raises `Unavailable`."""
        request = StreamLogsRequest(run_id=int(flower_run_id), after_timestamp=after)
        try:
            async with self._post("stream-logs", request, accept=PROTOBUF_STREAM, read=None) as response:
                yield response.aiter_raw(2**16)
        except _Refused as refusal:
            if refusal.code != _RUN_ID_NOT_FOUND:
                raise
            yield None

    async def _call(self, name: str, request: Message, into: Response) -> Response:
        async with self._post(name, request, accept=PROTOBUF, read=30.0) as response:
            content = await response.aread()
        try:
            into.ParseFromString(content)
        except DecodeError as error:
            raise Unavailable(f"the SuperLink answered {name} with no protobuf", hint="is its version ours?") from error
        return into

    @asynccontextmanager
    async def _post(
        self, name: str, request: Message, *, accept: str, read: float | None
    ) -> AsyncGenerator[httpx.Response]:
        headers = {"content-type": PROTOBUF, "accept": accept, "accept-encoding": "identity"}
        timeout = httpx.Timeout(30.0, connect=5.0, read=read)
        try:
            async with self._http.stream(
                "POST", f"/{name}", content=request.SerializeToString(), headers=headers, timeout=timeout
            ) as response:
                if response.is_error:
                    raise _refusal(name, response.status_code, await response.aread())
                yield response
        except httpx.TransportError as error:
            raise Unavailable(
                f"the SuperLink does not answer {name}: {error or type(error).__name__}",
                hint="it is restarted by itself; see superlink.log",
            ) from error


async def _first_frame(response: httpx.Response) -> bytes:
    """The first message of the stream; empty when none comes."""
    received = bytearray()
    try:
        async for chunk in response.aiter_raw():
            received += chunk
            if len(received) < _FRAME_HEADER:
                continue
            end = _FRAME_HEADER + int.from_bytes(received[:_FRAME_HEADER], "big")
            if end > _LOG_FRAME_LIMIT:
                raise Rejected(f"the log has more than {_LOG_FRAME_LIMIT:,} bytes")
            if len(received) >= end:
                return bytes(received[_FRAME_HEADER:end])
    except httpx.ReadTimeout:
        pass
    return b""


def _refusal(name: str, status: int, body: bytes) -> Rejected | Unavailable:
    try:
        error = msgspec.json.decode(body, type=_ApiError)
    except (msgspec.DecodeError, UnicodeDecodeError):
        error = _ApiError(detail=f"status {status}")
    message = f"the SuperLink refused {name}: {error.detail}" + (f" {error.extra}" if error.extra else "")
    return _Refused(message, error.code) if 400 <= status < 500 else Unavailable(message, hint="see superlink.log")
