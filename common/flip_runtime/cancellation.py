"""A task that was told to end does end, although what it runs fails meanwhile.

`asyncio.TaskGroup` raises what its tasks raised last, and not that it was told to end; and in Python 3.11 the task that
waits in it for others of which one fails counts as cancelled from then on (`Task.cancelling`). So what goes on after
errors can tell neither from the error nor by itself whether it shall.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")


async def in_own_task(run: Callable[[], Awaitable[T]]) -> T:
    """For loops that go on after errors. Raises what `run` raises; `CancelledError`, whatever that is, once the task of
    the caller was cancelled."""

    async def running() -> T:
        return await run()

    try:
        return await asyncio.create_task(running())
    except Exception as error:
        caller = asyncio.current_task()
        if caller is not None and caller.cancelling() > 0:
            raise asyncio.CancelledError from error
        raise
