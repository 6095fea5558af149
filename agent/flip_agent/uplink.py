"""Carries the outbox to the hub: an event is deleted here only after the hub has said that it is durable there.

The most urgent priority goes first. When the hub refuses a batch it is halved until the bad event stands alone; that
one becomes a dead letter, and all others are delivered. It never gives up: failures are followed by pauses with full
jitter, longer when the hub asks for it, and an answer that does not come in time is a failure. Once the day's byte
budget is used up only what `Thrift` lets go is sent; the rest waits, and nothing is lost.
"""

import asyncio
import logging

import msgspec

from flip_agent.hub.client import HubClient
from flip_agent.network.thrift import EVENTS, Thrift
from flip_agent.outbox.outbox import Outbox
from flip_agent.progress import Progress
from flip_agent.watched import first_of
from flip_runtime.backoff import Backoff
from flip_runtime.errors import Rejected, Unavailable
from flip_wire.telemetry import Batch, Seq

log = logging.getLogger(__name__)

SEND_WITHIN = 300.0
"""Seconds until a delivery counts as stuck: connection, token and answer may each take their time."""
_ANSWERED_WITHIN = 120.0
"""Seconds; also of a connection that is open at one end only, or lets through a byte now and then."""


class Uplink:
    def __init__(
        self,
        outbox: Outbox,
        hub: HubClient,
        backoff: Backoff | None = None,
        progress: Progress | None = None,
        thrift: Thrift | None = None,
    ) -> None:
        self._outbox = outbox
        self._hub = hub
        self._backoff = backoff or Backoff()
        self._progress = progress or Progress("uplink", within=SEND_WITHIN)
        self._thrift = thrift

    async def run(self) -> None:
        failures = 0
        while True:
            try:
                await self._drain()
                failures = 0
            except Unavailable as error:
                failures += 1
                await asyncio.sleep(max(self._backoff.delay(failures), error.retry_after or 0.0))
            else:
                await self._something_to_send()

    async def _something_to_send(self) -> None:
        if self._thrift is None:
            await self._outbox.arrival()
        else:
            await first_of(self._outbox.arrival(), self._thrift.more())

    async def _drain(self) -> None:
        while batch := await self._next_batch():
            await self._deliver(batch)

    async def _next_batch(self) -> Batch | None:
        if self._thrift is None:
            return await self._outbox.next_batch()
        among = self._thrift.may_go()
        if not self._thrift.used_up.value:
            return await self._outbox.next_batch()
        batch = await self._outbox.next_batch(EVENTS, among)
        if batch is not None:
            self._thrift.went(batch.priority)
        return batch

    async def _deliver(self, batch: Batch) -> None:
        """The whole batch or a first part of it; what remains is the next one."""
        try:
            with self._progress.step():
                accepted = await self._send(batch)
        except Rejected as error:
            await self._part(batch, error)
        else:
            await self._outbox.ack(batch.priority, accepted)

    async def _send(self, batch: Batch) -> Seq:
        """Up to where the hub has it: never more than was sent."""
        stamped = msgspec.structs.replace(batch, sent=self._outbox.stamp())
        try:
            async with asyncio.timeout(_ANSWERED_WITHIN):
                accepted = await self._hub.send(stamped)
        except TimeoutError as error:
            raise Unavailable(f"the hub did not answer within {_ANSWERED_WITHIN:g} s") from error
        first, last = batch.events[0].seq, batch.events[-1].seq
        if accepted.priority != batch.priority or accepted.up_to < first:
            raise Unavailable("the hub's answer is to another batch", hint="is there a proxy that mixes up answers?")
        return min(accepted.up_to, last)

    async def _part(self, batch: Batch, error: Rejected) -> None:
        if len(batch.events) > 1:
            half = batch.events[: len(batch.events) // 2]
            await self._deliver(msgspec.structs.replace(batch, events=half))
            return
        event = batch.events[0]
        log.error("hub refused an event", extra={"seq": event.seq, "kind": event.kind, "reason": str(error)})
        await self._outbox.reject(batch.priority, event.seq, str(error))
