"""A hub of its own with its MongoDB, with devices enrolled straight in the registry."""

import asyncio
import secrets
import signal
import ssl
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from flip_demo.mongod import mongod_command
from flip_demo.ports import free_port
from flip_hub.auth.permissions import Role
from flip_hub.auth.tokens import Tokens
from flip_hub.credentials import CA, load_credentials, make_credentials
from flip_hub.devices.keys import fingerprint
from flip_hub.devices.record import DeviceRecord
from flip_hub.devices.store import DeviceStore
from flip_hub.mongo import Mongo
from flip_hub.people_client import PeopleApi
from flip_hub.settings import HubSection, MongoSection, Settings
from flip_hub.users.schemas import NewAccount
from flip_runtime.child import Child, port_open
from flip_wire.fleet import DeviceId
from flip_wire.version import WIRE_VERSION

_WITHIN = 120.0
"""Seconds until a process answers."""


class BenchHub:
    """Use `running()`; both processes may be killed and started again meanwhile."""

    def __init__(self, folder: Path, *, tls: bool = False, heartbeat: float = 10.0) -> None:
        folder.mkdir(exist_ok=True)
        self.folder = folder
        self._tls = tls
        self.port, mongo, fleet, superlink, control = free_port(), free_port(), free_port(), free_port(), free_port()
        self.settings = Settings(
            hub=HubSection(state=folder / "hub", port=self.port, tls=tls),
            mongo=MongoSection(url=f"mongodb://127.0.0.1:{mongo}"),
        )
        config = folder / "hub.toml"
        config.write_text(
            f'[hub]\nstate = "{folder / "hub"}"\nport = {self.port}\ntls = {"true" if tls else "false"}\n\n'
            f'[mongo]\nurl = "mongodb://127.0.0.1:{mongo}"\n\n[fleet]\nport = {fleet}\n\n'
            f"[superlink]\nport = {superlink}\n\n[control]\nport = {control}\n\n[devices]\nheartbeat = {heartbeat}\n"
        )
        self._mongo_port = mongo
        self.mongod = Child("mongod", mongod_command(mongo, folder / "mongo"), log_file=folder / "mongod.log")
        command = [str(Path(sys.executable).with_name("flip-hub")), "serve", "--config", str(config)]
        self.hub = Child("flip-hub", command, log_file=folder / "hub.log")

    @property
    def ca(self) -> str:
        return (self.settings.hub.state / CA).read_text() if self._tls else ""

    @property
    def pids(self) -> tuple[int, int]:
        """Of the hub, without the SuperLink below it, and of mongod."""
        assert self.hub.pid is not None
        assert self.mongod.pid is not None
        return self.hub.pid, self.mongod.pid

    @asynccontextmanager
    async def running(self) -> AsyncGenerator[None]:
        make_credentials(self.settings)
        try:
            await self.start_mongod()
            await self.start_hub()
            yield
        finally:
            await self.hub.stop()
            await self.mongod.stop()

    async def start_mongod(self) -> None:
        await self.mongod.start()
        await self.mongod.wait_until(lambda: port_open(self._mongo_port), within=_WITHIN)

    async def start_hub(self) -> None:
        await self.hub.start()
        await self.hub.wait_until(self._answers, within=_WITHIN, every=0.3)

    async def kill(self, child: Child) -> None:
        child.send_signal(signal.SIGKILL)
        await child.wait()

    async def enrol(self, count: int) -> tuple[list[DeviceId], list[str]]:
        """Ids and tokens of new devices, each with a key of its own."""
        tokens = Tokens(load_credentials(self.settings.hub.state).token_secret, self.settings.auth)
        records = await asyncio.to_thread(lambda: [_record(number) for number in range(count)])
        mongo = Mongo(self.settings.mongo)
        try:
            store = DeviceStore(mongo.database)
            for first in range(0, count, 200):
                await asyncio.gather(*(store.add(record) for record in records[first : first + 200]))
        finally:
            mongo.close()
        return [record.id for record in records], [tokens.for_device(record.id).token for record in records]

    async def log_in(self, role: Role) -> str:
        """A token of somebody in that role."""
        password = secrets.token_hex(16)
        account = NewAccount(username=role.value, role=role, password=password)
        with (
            PeopleApi.on_this_machine(self.settings.hub.admin_socket) as local,
            PeopleApi(self.settings.hub.public_url, ca=self.ca) as hub,
        ):
            await asyncio.to_thread(local.add_user, account)
            return (await asyncio.to_thread(hub.login, role.value, password)).token

    async def add_admin(self, name: str) -> str:
        """The password of somebody who may do everything."""
        password = secrets.token_hex(16)
        account = NewAccount(username=name, role=Role.ADMIN, password=password)
        with PeopleApi.on_this_machine(self.settings.hub.admin_socket) as local:
            await asyncio.to_thread(local.add_user, account)
        return password

    async def _answers(self) -> bool:
        trusted = ssl.create_default_context(cadata=self.ca) if self._tls else True
        try:
            async with httpx.AsyncClient(verify=trusted, trust_env=False) as client:
                return (await client.get(f"{self.settings.hub.public_url}/health/ready")).is_success
        except httpx.TransportError:
            return False


def _record(number: int) -> DeviceRecord:
    pem = (
        ec.generate_private_key(ec.SECP384R1())
        .public_key()
        .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
        .decode()
    )
    return DeviceRecord(
        id=DeviceId(f"dev-{secrets.token_hex(6)}"),
        name=f"device-{number:05}",
        public_key=pem,
        fingerprint=fingerprint(pem),
        enrolled_at=0.0,
        agent_version="0.1.0",
        wire_version=WIRE_VERSION,
    )
