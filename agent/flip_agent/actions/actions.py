"""Does what the hub asks of this device alone: each action once, and its result told once.

It is on the disk that an action was begun, before it is; and its result, before the hub is told. One that was cut off
in between is begun again where that changes nothing on the device, and told of as failed otherwise. A restart is cut
off by itself: the next life of the agent finds it begun, and that is its result.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping

from msgspec import Struct

from flip_agent.actions.ledger import ActionLedger, Entry
from flip_agent.watched import Watched
from flip_runtime.backoff import Backoff
from flip_runtime.errors import FlipError, Unavailable
from flip_wire.actions import MOST_TEXT, Action, ActionKind, ActionResult, Outcome
from flip_wire.fleet import DesiredState

log = logging.getLogger(__name__)

REPEATABLE = frozenset({ActionKind.COLLECT_LOGS, ActionKind.DOCTOR, ActionKind.FOLLOW_LOGS, ActionKind.TRY})
"""They only look."""
WITHIN = 300.0
"""Seconds that an action may take."""


class Done(Struct, frozen=True, kw_only=True):
    text: str
    exit_status: int = 0
    log: bytes = b""
    """Compressed."""


Perform = Callable[[Action], Awaitable[Done]]
"""Raises a `FlipError` when it cannot be done."""
Tell = Callable[[ActionResult], Awaitable[None]]
"""Puts it into the outbox; of two of one action the first is kept. Raises `Unavailable`."""


class Actions:
    def __init__(
        self,
        ledger: ActionLedger,
        desired: Watched[DesiredState],
        performers: Mapping[str, Perform],
        *,
        restart: Callable[[], None],
        tell: Tell,
        hub_time: Callable[[], float],
        backoff: Backoff | None = None,
    ) -> None:
        """`performers` by kind, all but the restart; `restart` only asks for it."""
        self._ledger = ledger
        self._desired = desired
        self._performers = performers
        self._restart = restart
        self._tell = tell
        self._hub_time = hub_time
        self._backoff = backoff or Backoff(most=60.0)

    async def run(self) -> None:
        """Until it is cancelled, as it is soon after an action has asked for the restart."""
        failures = 0
        while True:
            try:
                for entry in self._ledger.entries:
                    await self._go_on(entry)
                failures = 0
                async for desired in self._desired.values():
                    await self._do(desired)
            except Unavailable as error:
                failures += 1
                log.warning("actions wait", extra={"reason": str(error)})
                await asyncio.sleep(self._backoff.delay(failures))

    async def _go_on(self, entry: Entry) -> None:
        """With what a life before this one, or the attempt before, has left."""
        action = entry.action
        if entry.told:
            return
        if entry.result is not None:
            await self._report(entry.result)
        elif action.kind == ActionKind.RESTART:
            await self._end(action, Outcome.DONE, Done(text="the agent has begun anew"))
        elif action.kind in REPEATABLE:
            await self._perform(action)
        else:
            cut = Done(text="it was cut off, and may have been done: look at the device", exit_status=1)
            await self._end(action, Outcome.FAILED, cut)

    async def _do(self, desired: DesiredState) -> None:
        for action in desired.actions:
            if not self._ledger.knows(action.id):
                await self._take(action)
        self._ledger.damaged = False
        if desired.generation >= 0:  # what nobody knows names nothing
            self._ledger.forget_all_but({action.id for action in desired.actions})

    async def _take(self, action: Action) -> None:
        if self._ledger.damaged:
            text = "the device's record of actions was damaged: this one may have been done, and is not done again"
            await self._end(action, Outcome.FAILED, Done(text=text, exit_status=1))
        elif self._hub_time() > action.expires_at:
            await self._end(action, Outcome.EXPIRED, Done(text="it came too late to the device"))
        elif action.kind == ActionKind.RESTART:
            self._ledger.begin(action)
            log.info("restarting", extra={"action": action.id, "reason": action.reason})
            self._restart()
            await asyncio.Event().wait()
        elif action.kind in self._performers:
            self._ledger.begin(action)
            await self._perform(action)
        else:
            text = f"this agent does not know the action {action.kind!r}: update it"
            await self._end(action, Outcome.FAILED, Done(text=text, exit_status=1))

    async def _perform(self, action: Action) -> None:
        log.info("action begins", extra={"action": action.id, "kind": action.kind})
        try:
            async with asyncio.timeout(WITHIN):
                done, outcome = await self._performers[action.kind](action), Outcome.DONE
        except TimeoutError:
            done, outcome = Done(text=f"not done within {WITHIN:g} s", exit_status=1), Outcome.FAILED
        except FlipError as error:
            done, outcome = Done(text=str(error), exit_status=1), Outcome.FAILED
        await self._end(action, outcome, done)

    async def _end(self, action: Action, outcome: Outcome, done: Done) -> None:
        log.info("action ended", extra={"action": action.id, "outcome": outcome.value})
        result = ActionResult(
            id=action.id,
            outcome=outcome,
            exit_status=done.exit_status,
            text=done.text[:MOST_TEXT],
            at=self._hub_time(),
            log=done.log,
        )
        self._ledger.finish(action, result)
        await self._report(result)

    async def _report(self, result: ActionResult) -> None:
        await self._tell(result)
        self._ledger.mark_told(result.id)
