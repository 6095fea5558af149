"""What this process shares with the other hubs: in its own memory while it is the only one, through Redis otherwise."""

from collections.abc import Awaitable, Callable

from msgspec import Struct

from flip_hub.cluster.bus import Bus
from flip_hub.cluster.redis import RedisLink, RedisVolatile, connect
from flip_hub.cluster.volatile import Memory, Volatile
from flip_hub.settings import RedisSection


class Shared(Struct, frozen=True, kw_only=True):
    volatile: Volatile
    bus: Bus
    run: Callable[[], Awaitable[None]] | None
    """Keeps the bus connected, and closes connections at its end; None where there is nobody to connect it to."""


def shared_by(settings: RedisSection) -> Shared:
    """Raises `ConfigError`."""
    bus = Bus()
    if not settings.url:
        return Shared(volatile=Memory(), bus=bus, run=None)
    client = connect(settings)
    link = RedisLink(client, settings.prefix, bus)
    bus.connect(link)

    async def run() -> None:
        try:
            await link.run()
        finally:
            await client.aclose()

    return Shared(volatile=RedisVolatile(client, settings.prefix), bus=bus, run=run)
