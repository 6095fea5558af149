"""Many simulated devices in one process: joins them, says `ready`, and lets them work until SIGTERM.

Then it prints what was seen as one line of JSON. A device whose session fails begins a new one after a second, and
that is counted: `errors`.
"""

import asyncio
import random
import signal
import ssl
import sys

import msgspec
import uvloop
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from msgspec import Struct

from bench.fleet_session import Seen, Session
from flip_runtime.errors import Rejected, Unavailable

_JOIN_AT_ONCE = 16


class Load(Struct, frozen=True, kw_only=True):
    address: str
    ca: str
    """PEM; empty for plain HTTP."""
    poll: float
    keys: list[str]
    """PEM, one a device."""
    settle: float
    learns: bool = False
    """As `Session` takes it."""


async def _main() -> None:
    load = msgspec.json.decode(sys.stdin.buffer.read(), type=Load)
    seen = Seen()
    trust = ssl.create_default_context(cadata=load.ca) if load.ca else None
    gate, joined = asyncio.Semaphore(_JOIN_AT_ONCE), asyncio.Semaphore(0)
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    sessions = [
        Session(
            load.address,
            _key(pem),
            trust,
            poll=load.poll,
            seen=seen,
            settle=load.settle,
            learns=load.learns,
        )
        for pem in load.keys
    ]
    tasks = [asyncio.create_task(_live(session, gate, joined, load.poll, seen)) for session in sessions]
    for _ in tasks:
        await joined.acquire()
    print("ready", flush=True)
    await stop.wait()
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await asyncio.gather(*(_left(session, gate, seen) for session in sessions))
    print(msgspec.json.encode(seen).decode(), flush=True)


async def _live(session: Session, gate: asyncio.Semaphore, joined: asyncio.Semaphore, poll: float, seen: Seen) -> None:
    while True:
        try:
            async with gate:
                await session.join()
            joined.release()
            await asyncio.sleep(random.random() * poll)
            await session.work()
        except* (Rejected, Unavailable) as errors:
            seen.errors += 1
            seen.note(str(errors.exceptions[0])[:120])
        await asyncio.sleep(1.0)


async def _left(session: Session, gate: asyncio.Semaphore, seen: Seen) -> None:
    try:
        async with gate:
            await session.leave()
    except (Rejected, Unavailable) as error:
        seen.errors += 1
        seen.note(str(error)[:120])


def _key(pem: str) -> EllipticCurvePrivateKey:
    key = load_pem_private_key(pem.encode(), None)
    assert isinstance(key, EllipticCurvePrivateKey)
    return key


if __name__ == "__main__":
    uvloop.run(_main())
