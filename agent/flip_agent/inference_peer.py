"""The `serve` process as the rollout sees it: prepares and activates versions, and may come and go at any time."""

import asyncio
import time
from collections.abc import Awaitable, Callable

from flip_agent.local.messages import Activate, FromRun, Prepare, Prepared, Serving, Traffic
from flip_agent.reported import Reported
from flip_agent.watched import Watched
from flip_runtime.errors import Unavailable
from flip_wire.models import ModelAssignment

Send = Callable[[FromRun], Awaitable[None]]
Answer = Prepared | Serving

_PREPARED_WITHIN = 300.0
"""Seconds; a large graph on a slow board takes one minute."""
_ACTIVE_WITHIN = 30.0
_LATENCY_LASTS = 15.0
"""Seconds; it tells every five while there are requests."""


class InferencePeer:
    """One process, the one that connected last; the rollout asks it one thing at a time."""

    def __init__(self, reported: Reported) -> None:
        self._reported = reported
        self._process: Watched[Send | None] = Watched(None)
        self.arrivals = Watched(0)
        """How many have connected so far."""
        self._latency: tuple[float, float] = (0.0, -_LATENCY_LASTS)
        """The p99 in seconds, and when it was told."""
        self._expect: Callable[[Answer], None] = _nothing
        self._give_up: Callable[[], None] = lambda: None

    @property
    def connected(self) -> bool:
        return self._process.value is not None

    @property
    def p99(self) -> float | None:
        """Seconds that the slowest hundredth of the latest requests took; None when there were none."""
        seconds, told_at = self._latency
        return seconds if time.monotonic() - told_at < _LATENCY_LASTS else None

    # ---- what the local server tells ----

    def attach(self, send: Send) -> None:
        self._give_up()
        self._process.set(send)
        self.arrivals.set(self.arrivals.value + 1)

    def detach(self, send: Send) -> None:
        if self._process.value == send:
            self._process.set(None)
            self._reported.serving_nothing()
            self._give_up()

    def answered(self, traffic: Traffic) -> None:
        if traffic.p99 is not None:
            self._latency = (traffic.p99, time.monotonic())

    def received(self, message: Answer) -> None:
        if isinstance(message, Serving):
            self._reported.serving(message)
        self._expect(message)

    # ---- what the rollout asks ----

    async def prepare(self, assignment: ModelAssignment) -> str:
        """Gives the process's objection, empty when there is none."""
        request = Prepare(model=assignment.model, version=assignment.version, manifest=assignment.manifest)
        answer = await self._ask(request, lambda message: isinstance(message, Prepared), _PREPARED_WITHIN)
        return answer.reason if isinstance(answer, Prepared) else ""

    async def activate(self, assignment: ModelAssignment) -> None:
        """Returns when the process answers with that version."""
        request = Activate(model=assignment.model, version=assignment.version)
        answer = await self._ask(request, lambda _: True, _ACTIVE_WITHIN)
        if isinstance(answer, Prepared):  # another process than the one that had prepared it
            raise Unavailable(f"not activated: {answer.reason}")

    def serves(self, assignment: ModelAssignment) -> bool:
        serving = self._reported.state.value.serving
        return any((each.model, each.version) == (assignment.model, assignment.version) for each in serving)

    async def _ask(self, request: Prepare | Activate, wanted: Callable[[Answer], bool], within: float) -> Answer:
        """Waits for a process if there is none. Raises `Unavailable` when it leaves or is silent `within` seconds."""
        send = await self._process.until(lambda process: process is not None)
        assert send is not None
        answered: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()

        def expect(message: Answer) -> None:
            about_it = (message.model, message.version) == (request.model, request.version)
            if about_it and wanted(message) and not answered.done():
                answered.set_result(message)

        def give_up() -> None:
            if not answered.done():
                answered.set_exception(Unavailable("the inference server went away"))

        self._expect, self._give_up = expect, give_up
        try:
            await send(request)
            async with asyncio.timeout(within):  # wait_for swallows a cancellation that meets the answer (Python 3.11)
                return await answered
        except TimeoutError as error:
            raise Unavailable(f"the inference server is silent for {within:g} s") from error
        except OSError as error:
            raise Unavailable("the inference server went away") from error
        finally:
            self._expect, self._give_up = _nothing, lambda: None


def _nothing(_: Answer) -> None:
    """Nobody waits for an answer."""
