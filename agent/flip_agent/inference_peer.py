"""One `serve` process as `run` sees it: tries and activates versions, and may come and go at any time."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from flip_agent.local.messages import Activate, FromRun, Prepare, Prepared, Serving, Traffic, Tried, Try
from flip_agent.reported import Reported
from flip_agent.watched import Watched
from flip_runtime.errors import Unavailable
from flip_wire.inference import ModelTraffic
from flip_wire.models import ModelAssignment

Send = Callable[[FromRun], Awaitable[None]]
Question = Prepare | Try | Activate
Answer = Prepared | Tried | Serving

_PREPARED_WITHIN = 300.0
"""Seconds; a large graph on a slow board takes one minute."""
_ACTIVE_WITHIN = 30.0
_LATENCY_LASTS = 15.0
"""Seconds; it tells every five while there are requests."""


@dataclass(frozen=True, slots=True, eq=False)
class _Asked:
    question: Question
    wanted: Callable[[Answer], bool]
    answered: asyncio.Future[Answer]

    def hear(self, message: Answer) -> None:
        about_it = (message.model, message.version) == (self.question.model, self.question.version)
        if about_it and self.wanted(message) and not self.answered.done():
            self.answered.set_result(message)

    def give_up(self) -> None:
        if not self.answered.done():
            self.answered.set_exception(Unavailable("the inference server went away"))


class InferencePeer:
    """The process of an instance that connected last. Rollout and rollback may ask it at the same time."""

    def __init__(self, reported: Reported) -> None:
        self._reported = reported
        self._process: Watched[Send | None] = Watched(None)
        self._serves: set[str] = set()
        """Models."""
        self._latency: tuple[float, float] = (0.0, -_LATENCY_LASTS)
        """The p99 in seconds, and when it was told."""
        self.traffic: list[ModelTraffic] = []
        self.samples_lost: dict[str, int] = {}
        """What it has answered, as it told last; empty without a process."""
        self._asked: list[_Asked] = []

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

    def detach(self, send: Send) -> None:
        if self._process.value == send:
            self._process.set(None)
            self._give_up()

    def answered(self, traffic: Traffic) -> None:
        self.traffic = traffic.models
        self.samples_lost = traffic.samples_lost
        if traffic.p99 is not None:
            self._latency = (traffic.p99, time.monotonic())

    def received(self, message: Answer) -> None:
        if isinstance(message, Serving):
            self._serves.add(message.model)
            self._reported.serving(message)
        for asked in list(self._asked):
            asked.hear(message)

    def _give_up(self) -> None:
        self.traffic = []
        self._reported.serving_no_more(self._serves)
        self._serves = set()
        for asked in list(self._asked):
            asked.give_up()

    # ---- what rollout and rollback ask ----

    async def prepare(self, assignment: ModelAssignment) -> str:
        """Gives the process's objection, empty when there is none."""
        question = Prepare(model=assignment.model, version=assignment.version, manifest=assignment.manifest)
        answer = await self._ask(question, lambda message: isinstance(message, Prepared), _PREPARED_WITHIN)
        return answer.reason if isinstance(answer, Prepared) else ""

    async def try_out(self, assignment: ModelAssignment, within: float) -> str:
        """Likewise, after a trial of what is prepared that lasts at most so many seconds."""
        question = Try(model=assignment.model, version=assignment.version)
        answer = await self._ask(question, lambda message: isinstance(message, Tried), within)
        assert isinstance(answer, Tried)
        return ": ".join(filter(None, (answer.reason, answer.detail))) if answer.reason else ""

    async def activate(self, assignment: ModelAssignment) -> None:
        """Returns when the process answers with that version."""
        question = Activate(model=assignment.model, version=assignment.version)
        answer = await self._ask(question, _settles_activation, _ACTIVE_WITHIN)
        if isinstance(answer, Prepared):  # another process than the one that had prepared it
            raise Unavailable(f"not activated: {answer.reason}")

    async def _ask(self, question: Question, wanted: Callable[[Answer], bool], within: float) -> Answer:
        """Waits for a process if there is none. Raises `Unavailable` when it leaves or is silent `within` seconds."""
        send = await self._process.until(lambda process: process is not None)
        assert send is not None
        asked = _Asked(question, wanted, asyncio.get_running_loop().create_future())
        self._asked.append(asked)
        try:
            await send(question)
            async with asyncio.timeout(within):  # wait_for swallows a cancellation that meets the answer (Python 3.11)
                return await asked.answered
        except TimeoutError as error:
            raise Unavailable(f"the inference server is silent for {within:g} s") from error
        except OSError as error:
            raise Unavailable("the inference server went away") from error
        finally:
            self._asked.remove(asked)


def _settles_activation(message: Answer) -> bool:
    return isinstance(message, Serving) or (isinstance(message, Prepared) and bool(message.reason))
