"""Takes what is owed to people: notices are made and kept first, then delivered, each until its channel has taken it.

They are in the registry, so a restart loses none; one that was acknowledged is noted at once and not sent again. What
nobody takes for a day is given up, and the log of notices says so.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from typing import NoReturn

from msgspec.structs import replace

from flip_hub.alerts.channels import Channel
from flip_hub.alerts.digest import notice_of, to_tell
from flip_hub.alerts.schemas import Notice, NoticeState
from flip_hub.alerts.store import AlertStore
from flip_runtime.backoff import Backoff
from flip_runtime.errors import Unavailable

log = logging.getLogger(__name__)

GIVEN_UP_AFTER = 86400.0
"""Seconds."""
MOST_WAITING = 100
"""Notices; while so many wait, what is owed stays owed, and becomes one notice later."""
LOOK_EVERY = 0.5
"""Seconds."""
_BACKOFF = Backoff(first=2.0, most=600.0)


class Courier:
    def __init__(
        self,
        store: AlertStore,
        channels: Sequence[Channel],
        *,
        group_wait: float,
        changed: Callable[[], None] = lambda: None,
    ) -> None:
        """`group_wait`: seconds that an alert waits for others, so that one notice tells them all; `changed` is called
        when something has become of a notice."""
        self._store = store
        self._channels = {channel.name: channel for channel in channels}
        self._group_wait = group_wait
        self._changed = changed

    async def run(self) -> NoReturn:
        """Delivers, until it is cancelled. Raises `DatabaseDown`."""
        while True:
            await self._deliver()
            await asyncio.sleep(LOOK_EVERY)

    async def gather(self) -> None:
        """Makes notices of what is owed; called between looks, so that one notice has all that a look has found."""
        now = time.time()
        owed = await self._store.owed()
        if not owed or await self._store.waiting_notices() >= MOST_WAITING:
            return
        alerts = to_tell(owed, await self._store.silences(now), now, self._group_wait)
        if alerts:
            for channel in self._channels:
                await self._store.add_notice(notice_of(alerts, channel, now))
            await self._store.settled(alerts)

    async def _deliver(self) -> None:
        while (notice := await self._store.due_notice(time.time())) is not None:
            channel = self._channels.get(notice.channel)
            if channel is None:
                await self._give_up(notice, "this channel is not set up any more")
            else:
                await self._try(channel, notice)

    async def _try(self, channel: Channel, notice: Notice) -> None:
        attempts = notice.attempts + 1
        try:
            await channel.deliver(notice)
        except Unavailable as error:
            if time.time() - notice.made_at > GIVEN_UP_AFTER:
                await self._give_up(replace(notice, attempts=attempts), str(error))
                return
            next_attempt = time.time() + _BACKOFF.delay(attempts)
            if attempts == 1:
                log.warning("a notice is not taken", extra={"channel": channel.name, "error": str(error)})
            await self._keep(replace(notice, attempts=attempts, next_attempt=next_attempt, error=str(error)))
            return
        now = time.time()
        await self._keep(replace(notice, attempts=attempts, state=NoticeState.DELIVERED, delivered_at=now, error=""))
        log.info("notice delivered", extra={"channel": channel.name, "notice": notice.id, "subject": notice.subject})

    async def _give_up(self, notice: Notice, reason: str) -> None:
        log.error("a notice is given up", extra={"channel": notice.channel, "notice": notice.id, "reason": reason})
        await self._keep(replace(notice, state=NoticeState.GIVEN_UP, error=reason))

    async def _keep(self, notice: Notice) -> None:
        await self._store.keep_notice(notice)
        self._changed()
