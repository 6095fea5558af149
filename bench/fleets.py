"""A hub or a bare SuperLink with a fleet of simulated devices, which are started for each lap and leave after it."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import psutil
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from bench.fleet_load import Load
from bench.fleet_session import Seen
from bench.load_process import LoadProcess
from bench.progress import say
from bench.sides import Side, ours, stock
from flip_demo.federation import Federation
from flip_hub.enrolment.schemas import EnrolmentTokenRequest
from flip_runtime.errors import Unavailable
from flip_wire.fleet import EnrolRequest

_ROOT = Path(__file__).parents[1]
_POLL = 1.0
"""Seconds; a SuperNode's own 3 s would only make the rounds longer."""
_PROCESSES = 2
_JOINED_WITHIN = 300.0
_ENROL_AT_ONCE = 4


class Fleet:
    def __init__(
        self, side: Side, pids: Sequence[int], address: str, keys: Sequence[str], *, ca: str, poll: float
    ) -> None:
        """`pids`: the processes whose CPU is counted, without what they start."""
        self.side = side
        self.pids = pids
        self._processes = [psutil.Process(pid) for pid in pids]
        self._address = address
        self._keys = keys
        self._ca = ca
        self._poll = poll
        self.errors = 0
        self.seen: list[Seen] = []
        """By the devices of the last lap."""

    def cpu(self) -> float:
        """Seconds so far."""
        times = [process.cpu_times() for process in self._processes]
        return sum(time.user + time.system for time in times)

    @asynccontextmanager
    async def devices(self, count: int, settle: float = 0.0, *, learns: bool = False) -> AsyncGenerator[None]:
        """They have joined, and work; `settle` and `learns` as `Session` takes them."""
        shares = [self._keys[number:count:_PROCESSES] for number in range(_PROCESSES)]
        loads = [await self._started(share, settle, learns) for share in shares if share]
        try:
            async with asyncio.timeout(_JOINED_WITHIN):
                for load in loads:
                    await load.line()
            yield
        finally:
            for load in loads:
                load.terminate()
            self.seen.clear()
            for load in loads:
                seen = await load.told(Seen)
                await load.wait()
                self.errors += seen.errors
                self.seen.append(seen)
                if seen.errors:
                    say(f"{self.side.name}: {seen.errors} errors in {seen.calls} calls: {seen.what}")

    async def _started(self, keys: Sequence[str], settle: float, learns: bool) -> LoadProcess:
        load = Load(address=self._address, ca=self._ca, poll=self._poll, keys=list(keys), settle=settle, learns=learns)
        return await LoadProcess.started("bench.fleet_load", load)


@asynccontextmanager
async def flip_fleet(folder: Path, most: int) -> AsyncGenerator[Fleet]:
    """A hub without agents, where so many devices are enrolled."""
    async with ours(folder, 0) as side:
        keys = await asyncio.to_thread(lambda: [_new_key() for _ in range(most)])
        say(f"flip: enrolling {most} devices")
        ca = await _enrolled(side.federation, keys)
        hub = side.federation.hub.child.pid
        assert hub is not None
        address = f"127.0.0.1:{side.federation.ports.fleet}"
        yield Fleet(side, [hub, _superlink_below(hub)], address, [pem for pem, _ in keys], ca=ca, poll=0.0)


@asynccontextmanager
async def stock_fleet(folder: Path, most: int, *, database: bool) -> AsyncGenerator[Fleet]:
    async with AsyncExitStack() as stack:
        side = await stack.enter_async_context(stock(folder, 0, database=database))
        keys = [pem for pem, _ in (_new_key() for _ in range(most))]
        yield Fleet(side, [side.link], side.address, keys, ca="", poll=_POLL)


async def _enrolled(federation: Federation, keys: Sequence[tuple[str, str]]) -> str:
    """As `flip-hub` enrols a SuperNode. Gives the hub's authority."""
    api, gate = federation.api, asyncio.Semaphore(_ENROL_AT_ONCE)
    token = await asyncio.to_thread(api.create_enrolment_token, EnrolmentTokenRequest(uses=len(keys)))

    async def enrol(number: int, public: str) -> str:
        name = f"simulated-{number}"
        request = EnrolRequest(token=token.token, name=name, public_key=public, agent_version="flower-supernode")
        async with gate:
            return (await asyncio.to_thread(api.enrol, request)).ca

    return (await asyncio.gather(*(enrol(number, public) for number, (_, public) in enumerate(keys))))[0]


def _new_key() -> tuple[str, str]:
    """PEM, private and public."""
    key = ec.generate_private_key(ec.SECP384R1())
    pem, plain = serialization.Encoding.PEM, serialization.NoEncryption()
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain)
    public = key.public_key().public_bytes(pem, serialization.PublicFormat.SubjectPublicKeyInfo)
    return private.decode(), public.decode()


def _superlink_below(hub: int) -> int:
    for process in psutil.Process(hub).children(recursive=True):
        if "flip_hub.federation.superlink_process" in process.cmdline():
            return process.pid
    raise Unavailable("the hub has no SuperLink")
