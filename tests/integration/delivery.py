"""An outbox whose events an uplink delivers, as the daemon has them, and one that has delivered all."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

from local_run import ended

from flip_agent.hub.client import HubClient
from flip_agent.outbox.outbox import Outbox
from flip_agent.uplink import Uplink
from flip_runtime.backoff import Backoff
from outboxes import running


@asynccontextmanager
async def delivering(path: Path, hub: HubClient) -> AsyncGenerator[Outbox]:
    async with running(path, within=240.0) as outbox:
        uplink = asyncio.create_task(Uplink(outbox, hub, Backoff(first=0.02, most=0.2)).run())
        try:
            yield outbox
        finally:
            await ended(uplink)


async def emptied(outbox: Outbox, within: float = 60.0) -> None:
    async with asyncio.timeout(within):
        while await outbox.depth():
            await asyncio.sleep(0.01)
