"""What becomes of replies that were pushed: each is forgotten only when the hub has said that its round has it, or
keeps it as a late contribution. Awaited beside the next message, a few at the same time, for as long as it takes.
"""

import asyncio
import logging
from asyncio import to_thread

from flip_agent.federation.delivery import Delivery
from flip_agent.federation.run_link import RunLink
from flip_agent.federation.session_store import Message, SessionStore
from flip_agent.federation.steps import NEXT, Outcome, Step
from flip_agent.watched import Watched
from flip_runtime.backoff import Backoff
from flip_runtime.errors import Corrupt, Rejected, Unavailable
from flip_wire.contributions import Fate, Receipt
from flip_wire.telemetry import SessionEvent

log = logging.getLogger(__name__)

_AT_ONCE = 4
_BACKOFF = Backoff(first=0.5, most=30.0)
_ASK_AGAIN = 1.0
"""Seconds at least between two questions to a hub that does not hold its answer back."""


class Settlement:
    def __init__(self, store: SessionStore, delivery: Delivery, link: RunLink) -> None:
        self._store = store
        self._delivery = delivery
        self._link = link
        self._settling: set[str] = set()
        self._changed = asyncio.Event()
        self.open = Watched(True)
        """Whether there may be replies whose fate is not known."""

    def pushed(self) -> None:
        """There is another one."""
        self.open.set(True)
        self._changed.set()

    async def run(self) -> None:
        """Until it is cancelled."""
        async with asyncio.TaskGroup() as group:
            while True:
                self._changed.clear()
                try:
                    await self._begin(group)
                    await self._changed.wait()
                except Unavailable:  # the disk is full
                    await asyncio.sleep(_ASK_AGAIN)

    async def _begin(self, group: asyncio.TaskGroup) -> None:
        unsettled = await to_thread(self._store.unsettled, _AT_ONCE)
        for message in unsettled:
            message_id = message.instruction.message_id
            if message_id not in self._settling:
                self._settling.add(message_id)
                group.create_task(self._settle(message))
        if not unsettled and not self._changed.is_set():
            self.open.set(False)

    async def _settle(self, message: Message) -> None:
        """Takes the message one step on, however often that must be tried."""
        failures = 0
        try:
            while True:
                try:
                    if await self._take(message):
                        return
                    failures = 0
                except Unavailable as error:
                    failures += 1
                    if failures == 1:
                        log.warning("fate of a reply not known", extra={"reason": str(error)})
                    # beyond what the hub asks for: it says the same to all that wait
                    await asyncio.sleep((error.retry_after or 0.0) + _BACKOFF.delay(failures))
        finally:
            self._settling.discard(message.instruction.message_id)
            self._changed.set()

    async def _take(self, message: Message) -> bool:
        """False when nothing can be said yet."""
        if message.step is Step.LATE:
            await self._hand_over(message)
            return True
        asked_at = asyncio.get_running_loop().time()
        try:
            receipt = await self._delivery.receipt(message)
        except Rejected as error:  # it was written to another device: this one was enrolled anew meanwhile
            await self._advance(message, Outcome.GONE, None, late=str(error))
            return True
        await self._keep(receipt)
        match receipt.fate:
            case Fate.ACCEPTED:
                await self._advance(message, Outcome.DONE, _event(message, "delivered"))
            case Fate.LATE:
                await self._advance(message, Outcome.GONE, None, late=receipt.reason)
            case Fate.REFUSED:
                detail = f"refused by the hub: {receipt.reason}"
                await self._advance(message, Outcome.DONE, _event(message, "refused", detail))
            case Fate.PENDING:
                asked_for = asyncio.get_running_loop().time() - asked_at
                await asyncio.sleep(max(0.0, _ASK_AGAIN - asked_for))
                return False
        return True

    async def _keep(self, receipt: Receipt) -> None:
        """For people who ask this device what became of its contributions."""
        if receipt.fate is not Fate.PENDING:
            kept = await to_thread(self._store.receipts.settled, receipt)
            if kept is not None:
                await self._link.tell_receipts([kept])

    async def _hand_over(self, message: Message) -> None:
        try:
            if message.reply is None:
                raise Corrupt("the reply was damaged on this device's disk")
            await self._delivery.hand_over(message, message.reply)
        except (Corrupt, Rejected) as error:
            if not await to_thread(self._store.holds, message.instruction.message_id):
                return  # its reply was handed on to another message meanwhile
            detail = f"{message.late}; not kept by the hub: {error}"
            await self._advance(message, Outcome.GONE, _event(message, "failed", detail))
        else:
            await self._advance(message, Outcome.DONE, _event(message, "late", message.late))

    async def _advance(self, message: Message, outcome: Outcome, event: SessionEvent | None, *, late: str = "") -> None:
        step = NEXT[message.step, outcome]
        await to_thread(self._store.advance, message.instruction.message_id, step, event, late=late)
        if event is not None:
            log.info("session step", extra={"step": event.step, "run": event.run_id, "detail": event.detail})
            self._link.written()


def _event(message: Message, step: str, detail: str = "") -> SessionEvent:
    instruction = message.instruction
    return SessionEvent(
        run_id=instruction.run_id,
        message_id=instruction.message_id,
        step=step,
        detail=detail,
        seconds=message.seconds,
    )
