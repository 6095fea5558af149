"""What a stopping agent still gives the uplink: a moment for the events that it holds."""

import asyncio
import contextlib

from flip_agent.outbox.outbox import Outbox
from flip_runtime.errors import Unavailable

_LOOK_EVERY = 0.05


async def delivered(outbox: Outbox, *, within: float) -> None:
    """Returns when nothing waits, or after `within` seconds; what is left is delivered after the next start."""
    with contextlib.suppress(TimeoutError, Unavailable):
        async with asyncio.timeout(within):
            while await outbox.depth():
                await asyncio.sleep(_LOOK_EVERY)
