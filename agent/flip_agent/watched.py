"""A value that one part sets and others wait on; who is slow sees the newest value, never a queue of old ones."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any, Generic, TypeVar

from flip_runtime.errors import ConfigError, Fatal

T = TypeVar("T")


class Watched(Generic[T]):
    """For one event loop. Setting an equal value changes nothing and wakes nobody."""

    def __init__(self, value: T) -> None:
        self._value = value
        self._changed = asyncio.Event()

    @property
    def value(self) -> T:
        return self._value

    def set(self, value: T) -> None:
        if value == self._value:
            return
        self._value = value
        before, self._changed = self._changed, asyncio.Event()
        before.set()

    async def until(self, wanted: Callable[[T], bool]) -> T:
        """The first value that is wanted, perhaps the present one."""
        while not wanted(self._value):
            await self._changed.wait()
        return self._value

    async def other_than(self, seen: T) -> T:
        """The newest value, once it is not `seen` any more."""
        return await self.until(lambda value: value != seen)

    async def values(self) -> AsyncIterator[T]:
        """The present value, then the newest after each change."""
        while True:
            seen = self._value
            yield seen
            await self.other_than(seen)


async def run_until(change: Coroutine[Any, Any, object], work: Coroutine[Any, Any, object]) -> None:
    """Runs `work`, and cancels it when `change` returns; waits for `change` also when the work is done earlier."""
    try:
        async with asyncio.TaskGroup() as group:
            working = group.create_task(work)
            await change
            working.cancel()
    except* (Fatal, ConfigError) as errors:
        raise errors.exceptions[0] from None


async def first_of(*changes: Coroutine[Any, Any, object]) -> None:
    """Returns when one of them does; the others are cancelled."""
    async with asyncio.TaskGroup() as group:
        waiting = [group.create_task(change) for change in changes]
        await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        for each in waiting:
            each.cancel()
