"""What must not be lost waits in memory while the disk is full, for as long as it takes."""

import asyncio
import logging
from asyncio import to_thread
from collections.abc import Callable

from flip_runtime.backoff import Backoff
from flip_runtime.errors import Unavailable

log = logging.getLogger(__name__)

_ROOM = Backoff(first=1.0, most=30.0)


async def when_there_is_room(what: str, write: Callable[[], None]) -> None:
    """Tries until the write succeeds; `what` names for people what waits meanwhile."""
    failures = 0
    while True:
        try:
            return await to_thread(write)
        except Unavailable as error:
            failures += 1
            if failures == 1:
                log.error("waiting for room on the disk", extra={"with": what, "reason": str(error)})
            await asyncio.sleep(_ROOM.delay(failures))
