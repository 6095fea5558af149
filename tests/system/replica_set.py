"""Three real mongods as a replica set on this machine: members are killed and come back."""

import asyncio
import os
import signal
from pathlib import Path
from typing import Any

from motor.motor_asyncio import AsyncIOMotorClient
from pymongo.errors import PyMongoError

from flip_demo.mongod import mongod_command
from flip_demo.ports import free_port
from flip_runtime.child import Child, port_open

NAME = "flip"


class ReplicaSet:
    def __init__(self, folder: Path, members: int = 3) -> None:
        self._ports = [free_port() for _ in range(members)]
        self._members = [
            Child(
                f"mongod-{index}",
                [*mongod_command(port, folder / f"mongo-{index}"), "--replSet", NAME, "--oplogSize", "64"],
                log_file=folder / f"mongod-{index}.log",
            )
            for index, port in enumerate(self._ports)
        ]

    @property
    def url(self) -> str:
        return f"mongodb://{','.join(self._hosts)}/?replicaSet={NAME}"

    async def start(self) -> None:
        """Returns when each member holds the data: any of them may then be killed."""
        for index in range(len(self._members)):
            await self.start_member(index)
        members = [{"_id": index, "host": host} for index, host in enumerate(self._hosts)]
        # elections in a tenth of the usual time: a test waits for them
        settings = {"electionTimeoutMillis": 1000, "heartbeatIntervalMillis": 200}
        config = {"_id": NAME, "members": members, "settings": settings}
        async with _client(f"mongodb://{self._hosts[0]}/?directConnection=true") as admin:
            await admin.command("replSetInitiate", config)
            async with asyncio.timeout(60):
                while {each["stateStr"] for each in await _members(admin)} != {"PRIMARY", "SECONDARY"}:
                    await asyncio.sleep(0.1)

    async def start_member(self, index: int) -> None:
        member, port = self._members[index], self._ports[index]
        await member.start()
        await member.wait_until(lambda: port_open(port), within=60)

    async def primary(self) -> int:
        """Which member it is, once there is one that takes writes."""
        async with asyncio.timeout(60), _client(self.url) as admin:
            while True:
                try:
                    hello = await admin.command("hello")
                    if hello.get("isWritablePrimary"):
                        return self._hosts.index(hello["primary"])
                except PyMongoError:
                    pass
                await asyncio.sleep(0.1)

    async def kill(self, index: int) -> None:
        member = self._members[index]
        assert member.pid is not None
        os.kill(member.pid, signal.SIGKILL)
        await member.wait()

    async def stop(self) -> None:
        await asyncio.gather(*(member.stop() for member in self._members))

    @property
    def _hosts(self) -> list[str]:
        return [f"127.0.0.1:{port}" for port in self._ports]


async def _members(admin: Any) -> list[dict[str, Any]]:
    return (await admin.command("replSetGetStatus"))["members"]


class _client:
    def __init__(self, url: str) -> None:
        self._client: AsyncIOMotorClient[Any] = AsyncIOMotorClient(url, serverSelectionTimeoutMS=2000)

    async def __aenter__(self) -> Any:
        return self._client.admin

    async def __aexit__(self, *_: object) -> None:
        self._client.close()
