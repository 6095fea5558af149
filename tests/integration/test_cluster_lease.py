"""The lease of a real registry: one holder at a time, an epoch that only grows, and duties that end before the next."""

import asyncio
import secrets
import signal
from collections.abc import AsyncGenerator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest
import pytest_asyncio

from flip_demo.mongod import mongod_command
from flip_hub.cluster.lease import Lease
from flip_hub.cluster.store import LeaseStore
from flip_hub.mongo import Mongo
from flip_hub.registry.schema import prepare_registry
from flip_hub.settings import ClusterSection, MongoSection
from flip_runtime.child import Child, port_open
from flip_runtime.errors import ConfigError, Unavailable

pytestmark = pytest.mark.asyncio

SECONDS = 2.0


@pytest_asyncio.fixture
async def mongo(mongo_url: str) -> AsyncGenerator[Mongo]:
    mongo = Mongo(MongoSection(url=mongo_url, database=f"test_{secrets.token_hex(6)}"))
    await mongo.prepare(prepare_registry)
    yield mongo
    await mongo.database.client.drop_database(mongo.database.name)
    mongo.close()


class Hub:
    """One that notes what it does."""

    def __init__(self, mongo: Mongo, name: str, duties: list[str], stuck: asyncio.Event | None = None) -> None:
        """With `stuck`, its duties do not end before that is set."""
        self.store = LeaseStore(mongo.database)
        self.ended = False
        self.stuck = stuck or asyncio.Event()
        self._is_stuck = stuck is not None
        self.stands_still = 0.0
        """Seconds that its clock is ahead: it was stopped for so long."""
        self._name = name
        self._duties = duties
        settings = ClusterSection(name=name, address=f"https://{name}:8000", lease=SECONDS)
        self.lease = Lease(self.store, settings, mongo.prepared, clock=self._clock, end_process=self._end)

    @asynccontextmanager
    async def running(self) -> AsyncGenerator["Hub"]:
        task = asyncio.create_task(self.lease.hold(self._work))
        try:
            yield self
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    @asynccontextmanager
    async def waiting_for(self, other: "Hub") -> AsyncGenerator[None]:
        """Holds the lease after the other one, which is stopped while this one waits."""
        async with AsyncExitStack() as stack:
            async with other.running():
                await until(lambda: other.lease.held)
                await stack.enter_async_context(self.running())
                await until(lambda: refusal(self) != "" and "https://" in refusal(self))
            await until(lambda: self.lease.held and f"{self._name} begins" in self._duties)
            yield

    async def _work(self) -> None:
        self._duties.append(f"{self._name} begins")
        try:
            await asyncio.Event().wait()
        finally:
            if self._is_stuck:
                await self.stuck.wait()
            self._duties.append(f"{self._name} ends")

    def _clock(self) -> float:
        return asyncio.get_running_loop().time() + self.stands_still

    def _end(self) -> None:
        self.ended = True


async def until(condition: Callable[[], bool], within: float = 60.0) -> None:
    async with asyncio.timeout(within):
        while not condition():
            await asyncio.sleep(0.02)


async def test_one_of_two_hubs_has_duties_and_the_other_takes_over_when_it_leaves(mongo: Mongo) -> None:
    duties: list[str] = []
    first, second = Hub(mongo, "a", duties), Hub(mongo, "b", duties)
    async with second.waiting_for(first):
        assert duties == ["a begins", "a ends", "b begins"]
        assert second.lease.epoch == first.lease.epoch + 1
        assert not first.lease.held


async def test_the_other_hub_is_named_to_who_asks_the_wrong_one(mongo: Mongo) -> None:
    duties: list[str] = []
    first, second = Hub(mongo, "a", duties), Hub(mongo, "b", duties)
    async with first.running(), second.running():
        await until(lambda: first.lease.held or second.lease.held)
        holder, other = (first, second) if first.lease.held else (second, first)
        await until(lambda: "https://" in refusal(other))
        assert refusal(holder) == ""


def refusal(hub: Hub) -> str:
    try:
        hub.lease.check()
    except Unavailable as error:
        return str(error)
    return ""


async def test_a_hub_that_stood_still_is_no_holder_from_its_first_instruction_on(mongo: Mongo) -> None:
    duties: list[str] = []
    hub = Hub(mongo, "a", duties)
    async with hub.running():
        await until(lambda: hub.lease.held)
        hub.stands_still = 10 * SECONDS
        with pytest.raises(Unavailable):
            hub.lease.check()
        await until(lambda: duties[:2] == ["a begins", "a ends"])
        hub.stands_still = 0.0


async def test_a_hub_whose_lease_another_one_has_taken_ends_its_duties(mongo: Mongo) -> None:
    duties: list[str] = []
    hub = Hub(mongo, "a", duties)
    async with hub.running():
        await until(lambda: hub.lease.held)
        await mongo.database["leases"].update_one({}, {"$set": {"instance": "another"}})
        await until(lambda: duties[:2] == ["a begins", "a ends"])


async def test_a_registry_that_stands_still_ends_the_duties_before_the_lease_does(folder: Path, port: int) -> None:
    mongod = Child("mongod", mongod_command(port, folder / "data"), log_file=folder / "log")
    await mongod.start()
    await mongod.wait_until(lambda: port_open(port), within=60)
    mongo = Mongo(MongoSection(url=f"mongodb://127.0.0.1:{port}", database="test"))
    await mongo.prepare(prepare_registry)
    duties: list[str] = []
    hub = Hub(mongo, "a", duties)
    try:
        async with hub.running():
            await until(lambda: hub.lease.held)
            mongod.send_signal(signal.SIGSTOP)
            await until(lambda: not hub.lease.held)
            await until(lambda: duties == ["a begins", "a ends"])
            mongod.send_signal(signal.SIGCONT)
            await until(lambda: hub.lease.held)
            assert hub.lease.epoch == 2
    finally:
        mongod.send_signal(signal.SIGCONT)
        await mongod.stop()
        mongo.close()


async def test_a_process_that_cannot_end_its_duties_in_time_is_ended(mongo: Mongo) -> None:
    hub = Hub(mongo, "a", [], stuck=asyncio.Event())
    async with hub.running():
        await until(lambda: hub.lease.held)
        hub.stands_still = 10 * SECONDS
        await until(lambda: hub.ended)
        hub.stuck.set()


async def test_a_mistake_of_configuration_ends_more_than_the_lease(mongo: Mongo) -> None:
    async def duties() -> None:
        raise ConfigError("the port is taken")

    with pytest.raises(ConfigError, match="the port is taken"):
        await Lease(LeaseStore(mongo.database), ClusterSection(name="a", lease=SECONDS), mongo.prepared).hold(duties)
