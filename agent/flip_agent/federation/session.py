"""The training session: carries each message from pull to push by the table of `steps`, whatever happens between.

One message at a time; what became of those pushed is awaited beside it (`settlement`). The next step is always read
from `session.db`, so a restart, a lost network and plain progress are the same loop; what fails for lack of a network
or of room on the disk is tried again for ever, with full jitter.
"""

import asyncio
import contextlib
import logging
from asyncio import to_thread

from flip_agent.federation.fleet_client import FleetClient
from flip_agent.federation.message_steps import MessageSteps
from flip_agent.federation.room import when_there_is_room
from flip_agent.federation.run_link import RunLink
from flip_agent.federation.run_secrets import forget_secrets
from flip_agent.federation.session_store import Message, SessionStore
from flip_agent.federation.settlement import Settlement
from flip_agent.federation.steps import ONLINE, SETTLING
from flip_agent.federation.warm_worker import WarmWorker
from flip_runtime.backoff import Backoff
from flip_runtime.errors import Rejected, Unavailable

log = logging.getLogger(__name__)

_BACKOFF = Backoff(first=0.5, most=30.0)
_RENEW_EVERY = 60.0
"""Seconds at most. The lease lasts longer; asking more often finds out early that the SuperLink has forgotten us."""
_LOOK_AGAIN = 1.0
"""Seconds between looks at a hub that does not hold empty pulls back: each costs it some 5 ms."""


class Session:
    def __init__(
        self,
        store: SessionStore,
        fleet: FleetClient,
        steps: MessageSteps,
        worker: WarmWorker,
        settlement: Settlement,
        link: RunLink,
        *,
        idle_exit: float,
        lease: float,
    ) -> None:
        self._store = store
        self._fleet = fleet
        self._steps = steps
        self._worker = worker
        self._settlement = settlement
        self._link = link
        self._idle_exit = idle_exit
        self._renew_every = min(_RENEW_EVERY, lease / 2)
        self._node = ""
        self._joined = False
        self._announced: frozenset[str] | None = None
        self._busy_at = 0.0
        """By the loop's clock: when there last was work."""

    async def run(self) -> None:
        """Returns when there is nothing to deliver or to settle, and has been no work for `idle_exit` seconds."""
        self._busy_at = _now()
        try:
            async with asyncio.TaskGroup() as group:
                lease = group.create_task(self._keep_lease())
                settling = group.create_task(self._settlement.run())
                await self._go_on()
                await self._forget_secrets()
                lease.cancel()
                settling.cancel()
        finally:
            await self._worker.dismiss()

    async def _go_on(self) -> None:
        failures = 0
        while True:
            try:
                message = await to_thread(self._store.next)
                if message is not None:
                    await self._take(message)
                elif await self._work_is_likely():
                    await self._join()
                    await self._pull()
                else:
                    return
                if failures:
                    log.info("the fleet answers again", extra={"failures": failures})
                    failures = 0
            except (Unavailable, Rejected) as error:
                failures += 1
                self._joined = False  # whoever was away may have forgotten this device
                if failures == 1:
                    log.warning("the fleet does not answer, trying again", extra={"reason": str(error)})
                asked = error.retry_after if isinstance(error, Unavailable) else None
                # beyond what the hub asks for: it says the same to all that wait
                await asyncio.sleep((asked or 0.0) + _BACKOFF.delay(failures))

    async def _work_is_likely(self) -> bool:
        """Whether to look for messages. Waits for an announcement; False when `idle_exit` seconds passed without, and
        nothing is left to settle."""
        announced = self._link.work.value
        if announced != self._announced:
            self._announced = announced
            self._joined = False  # the new run may be one of a restarted SuperLink
        if announced:
            self._busy_at = _now()
            return True
        left = self._busy_at + self._idle_exit - _now()
        if announced is None and left > 0:
            return True  # `run` has not told us: look
        await self._worker.dismiss()
        await self._link.tell("delivering" if self._settlement.open.value else "idle")
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(max(left, 0.0)):
                await self._link.work.until(bool)
        return bool(self._link.work.value) or await self._unsettled()

    async def _forget_secrets(self) -> None:
        if self._link.work.value is not None:  # `run` has said that none sends messages
            with contextlib.suppress(Unavailable):  # a full disk: the next session does it
                await to_thread(forget_secrets, self._store)

    async def _unsettled(self) -> bool:
        """Waits for new work or for the last receipt; False when nothing is left to settle."""
        work = asyncio.create_task(self._link.work.until(bool))
        settled = asyncio.create_task(self._settlement.open.until(lambda still: not still))
        try:
            await asyncio.wait({work, settled}, return_when=asyncio.FIRST_COMPLETED)
            return work.done()
        finally:
            work.cancel()
            settled.cancel()

    async def _join(self) -> None:
        if self._joined:
            return
        node = self._node or await to_thread(self._store.node)
        if node is None or not await to_thread(self._fleet.renew, node):
            node = await to_thread(self._fleet.join)
            await to_thread(self._store.keep_node, node)
            await to_thread(self._fleet.renew, node)
            log.info("joined the federation", extra={"node": node})
        self._node, self._joined = node, True

    async def _keep_lease(self) -> None:
        while True:
            await asyncio.sleep(self._renew_every)
            with contextlib.suppress(Unavailable, Rejected):
                if self._joined and not await to_thread(self._fleet.renew, self._node):
                    self._joined = False

    async def _pull(self) -> None:
        await self._link.tell("waiting")
        asked_at = _now()
        instruction = await to_thread(self._fleet.pull, self._node)
        if instruction is not None:
            await when_there_is_room("an instruction", lambda: self._store.accept(instruction))
            self._busy_at = _now()
        elif _now() < asked_at + _LOOK_AGAIN:
            await asyncio.sleep(_LOOK_AGAIN)

    async def _take(self, message: Message) -> None:
        if message.step in ONLINE:
            await self._join()
        following = await self._steps.carry_on(message, self._node)
        if following in SETTLING:
            self._settlement.pushed()
        self._link.written()
        self._busy_at = _now()


def _now() -> float:
    return asyncio.get_running_loop().time()
