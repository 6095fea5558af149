"""Which nodes Flower's own SuperLink takes for online while runs are announced to devices that are all asleep."""

import time
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from uuid import uuid4

import httpx
import pytest
import pytest_asyncio
from flwr.proto.control_pb2 import ListNodesRequest, ListNodesResponse
from flwr.proto.fleet_pb2 import ActivateNodeRequest, ActivateNodeResponse
from flwr.proto.heartbeat_pb2 import SendNodeHeartbeatRequest, SendNodeHeartbeatResponse
from flwr.proto.node_pb2 import Node

from flip_demo.ports import free_port
from flip_hub.cluster.bus import Bus
from flip_hub.devices.record import DeviceRecord
from flip_hub.devices.schemas import Absence
from flip_hub.devices.service import DeviceService
from flip_hub.devices.store import DeviceStore
from flip_hub.federation.gateway import Gateway
from flip_hub.federation.mailboxes import Mailboxes
from flip_hub.federation.standby import Standby
from flip_hub.federation.superlink import Superlink
from flip_hub.live import LiveHub
from flip_hub.mongo import Mongo
from flip_hub.registry.schema import prepare_registry
from flip_hub.settings import MongoSection, Settings
from flip_wire.fleet import DeviceId, ReportedState
from integration.fleet_rig import NodeKey, Registry, device_client, hub_settings, running

pytestmark = pytest.mark.asyncio(loop_scope="module")

LEASE = 60.0
HEARTBEAT = 30.0


class Fleet:
    """A registry in MongoDB, the gateway, and a SuperLink; keys stand for devices, none of which does anything."""

    def __init__(self, settings: Settings, store: DeviceStore, gateway: Gateway, client: httpx.AsyncClient) -> None:
        self.store = store
        self.devices = DeviceService(store, LiveHub(), Bus(), settings)
        self.gateway = gateway
        self.client = client
        self.standby = Standby(self.devices, gateway.nodes, lease=LEASE)
        self._superlink = f"http://127.0.0.1:{settings.superlink.port}"

    async def add(self, name: str, *, seen: float | None = 0.0, reported: ReportedState | None = None) -> NodeKey:
        """Enrolled, and last seen so many seconds ago, or never."""
        key, now = NodeKey(), time.time()
        record = DeviceRecord(
            id=DeviceId(f"dev-{name}"),
            name=name,
            public_key=key.pem.decode(),
            fingerprint=key.fingerprint,
            enrolled_at=now,
            agent_version="0",
            last_seen=None if seen is None else now - seen,
            reported=reported,
        )
        await self.store.add(record)
        return key

    async def join(self, key: NodeKey, lease: float = 3600.0) -> str:
        """As a device that has woken."""
        activate = ActivateNodeRequest(public_key=key.pem, heartbeat_interval=30).SerializeToString()
        answer = await self.client.post("/activate-node", content=activate, headers=key.headers())
        assert answer.status_code == 200, answer.text
        node_id = ActivateNodeResponse.FromString(answer.content).node_id
        beat = SendNodeHeartbeatRequest(node=Node(node_id=node_id), heartbeat_interval=lease / 2).SerializeToString()
        answer = await self.client.post("/send-node-heartbeat", content=beat, headers=key.headers())
        assert SendNodeHeartbeatResponse.FromString(answer.content).success
        return str(node_id)

    async def online(self) -> dict[str, float]:
        """Names of the devices that a ServerApp would see, and the seconds that each has left."""
        headers = {"content-type": "application/protobuf"}
        request = ListNodesRequest().SerializeToString()
        async with httpx.AsyncClient(base_url=self._superlink, trust_env=False) as client:
            answer = await client.post("/v1/control/list-nodes", content=request, headers=headers)
        assert answer.status_code == 200, answer.text
        names = {record.public_key.encode(): record.name for record in await self.store.all()}
        nodes = ListNodesResponse.FromString(answer.content).nodes_info
        return {names[node.public_key]: node.online_until - time.time() for node in nodes if node.status == "online"}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def superlink(tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[Settings]:
    folder = tmp_path_factory.mktemp("hub")
    settings = hub_settings(folder, fleet=free_port(), superlink=free_port())
    async with running(Superlink(settings).run(), settings.superlink.port):
        yield settings


@asynccontextmanager
async def fleet_of(settings: Settings, mongo_url: str) -> AsyncGenerator[Fleet]:
    mongo = Mongo(MongoSection(url=mongo_url, database=f"test-{uuid4().hex[:12]}"))
    store, registry = DeviceStore(mongo.database), Registry()
    async with AsyncExitStack() as stack:
        stack.callback(mongo.close)
        await mongo.prepare(prepare_registry)
        client = await stack.enter_async_context(device_client(settings))
        devices = DeviceService(store, LiveHub(), Bus(), settings)
        gateway = Gateway(settings, devices, registry, Mailboxes(), registry)
        await stack.enter_async_context(running(gateway.run(), settings.fleet.port))
        yield Fleet(settings, store, gateway, client)


@pytest_asyncio.fixture(loop_scope="module")
async def fleet(superlink: Settings, mongo_url: str) -> AsyncGenerator[Fleet]:
    async with fleet_of(superlink, mongo_url) as fleet:
        yield fleet
        everybody = [record.public_key for record in await fleet.store.all()]
        await fleet.gateway.nodes.offline(everybody)  # the SuperLink is the next test's too


def reports(*, held_because: str = "", mode: str = "normal") -> ReportedState:
    return ReportedState(generation=1, agent_version="0", training="idle", held_because=held_because, mode=mode)


async def test_only_devices_that_can_be_woken_are_counted_and_only_for_the_time_that_it_takes(fleet: Fleet) -> None:
    await fleet.add("awake")
    await fleet.add("well", seen=HEARTBEAT, reported=reports())
    await fleet.add("silent", seen=3 * HEARTBEAT)
    await fleet.add("supernode", seen=None)
    await fleet.add("held", reported=reports(held_because="battery at 12 %"))
    await fleet.add("broken", reported=reports(mode="reduced"))
    await fleet.add("revoked")
    await fleet.devices.revoke(DeviceId("dev-revoked"))
    await fleet.standby.call(first=True)
    online = await fleet.online()
    assert online.keys() == {"awake", "well"}
    assert all(0 < left <= LEASE for left in online.values())
    turnout = await fleet.standby.turnout()
    assert turnout.able == 2
    assert {(absent.name, absent.why, absent.detail) for absent in turnout.absent} == {
        ("silent", Absence.UNKNOWN, ""),
        ("supernode", Absence.UNKNOWN, ""),
        ("held", Absence.HELD, "battery at 12 %"),
        ("broken", Absence.SAFE_MODE, ""),
    }


async def test_a_device_takes_over_the_node_that_waits_for_it(fleet: Fleet) -> None:
    key = await fleet.add("late")
    await fleet.standby.call(first=True)
    waiting = (await fleet.devices.get(DeviceId("dev-late"))).node_id
    assert await fleet.join(key) == waiting
    assert (await fleet.online())["late"] > LEASE
    await fleet.standby.call(first=False)
    await fleet.standby.look()
    assert (await fleet.online())["late"] > LEASE, "the lease that a device holds is not shortened"


async def test_whoever_was_gone_before_the_first_run_is_not_counted_by_an_old_lease(fleet: Fleet) -> None:
    unplugged = await fleet.add("unplugged", seen=3 * HEARTBEAT)
    stock = await fleet.add("stock", seen=None)
    for key in (unplugged, stock):
        await fleet.join(key)
    await fleet.standby.call(first=False)
    assert (await fleet.online()).keys() == {"unplugged", "stock"}, "it may have something to deliver"
    await fleet.standby.call(first=True)
    assert (await fleet.online()).keys() == {"stock"}
    await fleet.join(unplugged)
    assert (await fleet.online()).keys() == {"unplugged", "stock"}


async def test_while_a_run_goes_on_devices_are_counted_when_they_come_back_and_not_when_they_are_revoked(
    fleet: Fleet,
) -> None:
    await fleet.add("gone", seen=3 * HEARTBEAT)
    await fleet.join(await fleet.add("thief"))
    await fleet.standby.call(first=True)
    assert (await fleet.online()).keys() == {"thief"}
    await fleet.devices.seen(DeviceId("dev-gone"))
    await fleet.devices.revoke(DeviceId("dev-thief"))
    await fleet.standby.look()
    assert (await fleet.online()).keys() == {"gone"}


async def test_a_device_that_is_heard_and_never_wakes_is_let_go(fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    await fleet.add("stuck")
    await fleet.standby.call(first=True)
    monkeypatch.setattr("flip_hub.federation.standby._SLOW", 0)
    (record,) = await fleet.store.all()
    await fleet.gateway.nodes.offline([record.public_key])
    await fleet.standby.look()
    assert await fleet.online() == {}


async def test_a_superlink_that_is_away_fails_nothing_and_all_are_called_when_it_is_back(
    folder: Path, mongo_url: str
) -> None:
    settings = hub_settings(folder, fleet=free_port(), superlink=free_port())
    async with fleet_of(settings, mongo_url) as fleet, AsyncExitStack() as stack:
        await fleet.add("one")
        await fleet.standby.call(first=True)
        await stack.enter_async_context(running(Superlink(settings).run(), settings.superlink.port))
        await fleet.standby.look()
        assert (await fleet.online()).keys() == {"one"}


async def test_thousands_of_devices_are_called_in_a_moment(fleet: Fleet) -> None:
    keys = [f"{number} no key, which only a device would need" for number in range(2500)]
    try:
        ids = await fleet.gateway.nodes.online(keys, LEASE)
        assert len(set(ids)) == 2500
        assert await fleet.gateway.nodes.online(keys, LEASE) == ids
    finally:
        await fleet.gateway.nodes.offline(keys)
