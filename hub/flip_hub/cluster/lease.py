"""Which of several hubs runs the federation: one at a time, whoever dies, hangs or loses the registry.

SuperLink, gateway, Control port and what follows runs belong to the holder of a lease in the registry. It renews the
lease four times as often as it must. When it could not for three quarters of the time, it is none any more, by its own
clock (which runs on while the process stands still): from that moment `check` refuses, and its duties are stopped. They
have the last quarter for that; a process that needs longer is ended. Only then can another hub take over.
"""

import asyncio
import logging
import os
import secrets
import threading
import time
from collections.abc import Awaitable, Callable
from typing import NoReturn, Protocol

from flip_hub.cluster.store import Holder, LeaseStore
from flip_hub.mongo import DatabaseDown, Mongo
from flip_hub.settings import ClusterSection
from flip_runtime.cancellation import in_own_task
from flip_runtime.errors import ConfigError, Fatal, Unavailable

log = logging.getLogger(__name__)

Duties = Callable[[], Awaitable[None]]
"""What only the holder does, until it is cancelled."""

_EXIT = 70  # EX_SOFTWARE of sysexits.h
_RELEASE_WITHIN = 2.0
"""Seconds."""


class Leading(Protocol):
    @property
    def held(self) -> bool:
        """At this moment."""
        ...

    def check(self) -> None:
        """Raises `Unavailable` on a hub that does not run the federation: another one does."""
        ...

    async def hold(self, duties: Duties) -> None:
        """Does them whenever, and only while, this hub is the holder; until it is cancelled."""
        ...


class Alone:
    """The only hub."""

    held = True

    def check(self) -> None:
        pass

    async def hold(self, duties: Duties) -> None:
        await duties()


ALONE = Alone()


class _Lost(Exception):
    pass


def _boot_time() -> float:
    """Seconds; goes on while the process, or the machine, sleeps."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class Lease:
    def __init__(
        self,
        store: LeaseStore,
        settings: ClusterSection,
        prepared: asyncio.Event,
        *,
        clock: Callable[[], float] = _boot_time,
        end_process: Callable[[], None] = lambda: os._exit(_EXIT),
    ) -> None:
        self._store = store
        self._settings = settings
        self._prepared = prepared
        self._clock = clock
        self._end_process = end_process
        self._instance = secrets.token_hex(8)
        self._good_until = float("-inf")
        self._other: Holder | None = None
        self.epoch = 0
        """Of the last time that this hub was the holder."""

    @property
    def held(self) -> bool:
        return self._clock() < self._good_until

    def check(self) -> None:
        if not self.held:
            where = "" if self._other is None else f": {self._other.name} does {self._other.address}".rstrip()
            raise Unavailable(f"this hub does not run the federation{where}", hint="the other one answers this")

    async def hold(self, duties: Duties) -> NoReturn:
        """Goes on when the registry was away."""
        await self._prepared.wait()
        while True:
            await self._take()
            try:
                await self._lead(duties)
            finally:
                self._good_until = float("-inf")
                await self._release()

    async def _take(self) -> None:
        """Returns when this hub is the holder."""
        while True:
            began = self._clock()
            try:
                taken = await self._store.take(
                    self._instance, self._settings.name, self._settings.address, self._settings.lease
                )
                self._see(taken or await self._store.holder())
            except DatabaseDown:
                taken = None
            if taken is not None:
                self.epoch, self._good_until = taken.epoch, began + self._settings.lease * 3 / 4
                log.info("this hub runs the federation", extra={"hub": self._settings.name, "epoch": self.epoch})
                return
            await asyncio.sleep(self._settings.lease / 10)

    def _see(self, holder: Holder | None) -> None:
        before, self._other = self._other, holder
        if holder is None or holder.instance == self._instance:
            self._other = None
        elif before is None or before.epoch != holder.epoch:
            log.info("another hub runs the federation", extra={"hub": holder.name, "epoch": holder.epoch})

    async def _lead(self, duties: Duties) -> None:
        fence = threading.Timer(self._settings.lease / 4, self._end_process)
        fence.daemon = True
        try:
            await in_own_task(lambda: self._on_duty(duties, fence))
        except* (Fatal, ConfigError) as errors:
            raise errors.exceptions[0] from None
        except* _Lost as lost:
            log.warning("this hub runs the federation no more", extra={"reason": str(lost.exceptions[0])})
        finally:
            fence.cancel()

    async def _on_duty(self, duties: Duties, fence: threading.Timer) -> NoReturn:
        async with asyncio.TaskGroup() as group:
            group.create_task(self._renew(fence))
            await duties()
            raise _Lost("its duties have ended")

    async def _renew(self, fence: threading.Timer) -> NoReturn:
        try:
            while True:
                await asyncio.sleep(max(0.0, min(self._settings.lease / 4, self._good_until - self._clock())))
                await self._renew_once()
        except _Lost:
            fence.start()
            raise

    async def _renew_once(self) -> None:
        began = self._clock()
        if began >= self._good_until:
            raise _Lost("it could not be renewed in time")
        try:
            async with asyncio.timeout(self._good_until - began):
                kept = await self._store.renew(self._instance, self.epoch, self._settings.lease)
        except TimeoutError:
            return
        except DatabaseDown:
            await asyncio.sleep(min(self._settings.lease / 20, max(0.0, self._good_until - self._clock())))
            return
        if not kept:
            raise _Lost("another hub has taken over")
        self._good_until = began + self._settings.lease * 3 / 4

    async def _release(self) -> None:
        """So that another hub need not wait; nothing when it is too late."""
        try:
            async with asyncio.timeout(_RELEASE_WITHIN):
                await self._store.give_up(self._instance, self.epoch)
        except (TimeoutError, DatabaseDown):
            pass


def leading_by(settings: ClusterSection, mongo: Mongo) -> Leading:
    return Lease(LeaseStore(mongo.database), settings, mongo.prepared) if settings.name else ALONE
