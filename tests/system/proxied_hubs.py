"""Two real hubs as somebody would run them: `flip-hub serve` twice, behind nginx, with Redis and a replica set."""

import asyncio
import os
import secrets
import shutil
import signal
import ssl
import subprocess
import sys
from pathlib import Path

import httpx
from msgspec.structs import replace
from nginx import Nginx
from redis_server import RedisServer
from replica_set import ReplicaSet

from configuration import toml_of
from flip_demo.ports import free_port
from flip_hub.settings import (
    ArtifactsSection,
    ClusterSection,
    ControlSection,
    FleetSection,
    HubSection,
    MongoSection,
    RedisSection,
    Settings,
    SuperlinkSection,
)
from flip_runtime.child import Child

PROGRAM = str(Path(sys.executable).with_name("flip-hub"))
LEASE = 6.0
"""Seconds."""


class OneHub:
    def __init__(self, folder: Path, settings: Settings) -> None:
        self.settings = settings
        self.config = folder / f"{settings.cluster.name}.toml"
        self.config.write_text(toml_of(settings))
        self.process = Child(
            settings.cluster.name,
            [PROGRAM, "serve", "--config", str(self.config)],
            log_file=folder / f"{settings.cluster.name}.log",
        )

    @property
    def url(self) -> str:
        return f"https://localhost:{self.settings.hub.port}"

    @property
    def fleet(self) -> str:
        return f"https://localhost:{self.settings.fleet.port}"

    async def kill(self) -> None:
        assert self.process.pid is not None
        os.kill(self.process.pid, signal.SIGKILL)
        await self.process.wait()

    def command(self, *arguments: str) -> list[str]:
        return [PROGRAM, *arguments, "--config", str(self.config)]


class ProxiedHubs:
    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.mongo = ReplicaSet(folder)
        self.redis = RedisServer(folder)
        self.ports = {443: free_port(), 9092: free_port(), 9093: free_port()}
        self.password = folder / "password"
        self.hubs: list[OneHub] = []
        self._nginx: Nginx | None = None

    @property
    def url(self) -> str:
        return f"https://localhost:{self.ports[443]}"

    @property
    def fleet(self) -> str:
        return f"https://localhost:{self.ports[9092]}"

    @property
    def authority(self) -> Path:
        return self._folder / "proxy" / "ca.pem"

    @property
    def trust(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=self.authority)

    async def start(self) -> None:
        self.redis.start()
        await self.mongo.start()
        common = Settings(
            mongo=MongoSection(url=self.mongo.url, database=f"test_{secrets.token_hex(6)}"),
            redis=RedisSection(url=self.redis.url),
            artifacts=ArtifactsSection(folder=self._folder / "artifacts"),
        )
        self.hubs = [OneHub(self._folder, self._settings(common, name)) for name in ("a", "b")]
        first, second = self.hubs
        await _run(first.command("init", "--admin", "ada", "--password-file", str(self.password)))
        shutil.copytree(first.settings.hub.state, second.settings.hub.state)  # both have the same keys
        proxy = self._folder / "proxy"
        proxy.mkdir()
        await _run(first.command("certificate", "localhost", "--folder", str(proxy)))
        (proxy / "proxy.pem").chmod(0o644)
        self._nginx = Nginx(self._folder, proxy, self.ports, [self._own_ports(hub) for hub in self.hubs])
        for hub in self.hubs:
            await hub.process.start()
        async with httpx.AsyncClient(verify=self.trust, trust_env=False) as http:
            for hub in self.hubs:
                await hub.process.wait_until(lambda hub=hub: _ready(http, hub.url), within=120)
        await self._nginx.start()

    async def holder(self) -> OneHub:
        """The one whose gateway answers, once there is one."""
        async with httpx.AsyncClient(verify=self.trust, trust_env=False) as http, asyncio.timeout(120):
            while True:
                for hub in self.hubs:
                    if hub.process.running and await _holds(http, hub):
                        return hub
                await asyncio.sleep(0.2)

    async def stop(self) -> None:
        if self._nginx is not None:
            await self._nginx.stop()
        await asyncio.gather(*(hub.process.stop() for hub in self.hubs))
        await self.mongo.stop()
        self.redis.stop()

    def _settings(self, common: Settings, name: str) -> Settings:
        return replace(
            common,
            hub=HubSection(state=self._folder / f"hub-{name}", port=free_port(), url=self.url, proxies=["127.0.0.1"]),
            fleet=FleetSection(port=free_port(), address=f"localhost:{self.ports[9092]}"),
            control=ControlSection(port=free_port()),
            superlink=SuperlinkSection(port=free_port()),
            cluster=ClusterSection(name=name, lease=LEASE),
        )

    @staticmethod
    def _own_ports(hub: OneHub) -> dict[int, int]:
        settings = hub.settings
        return {8000: settings.hub.port, 9092: settings.fleet.port, 9093: settings.control.port}


async def _run(command: list[str]) -> None:
    await asyncio.to_thread(subprocess.run, command, check=True, capture_output=True, timeout=120)


async def _ready(http: httpx.AsyncClient, url: str) -> bool:
    try:
        return (await http.get(f"{url}/health/ready")).is_success
    except httpx.TransportError:
        return False


async def _holds(http: httpx.AsyncClient, hub: OneHub) -> bool:
    """A hub without the lease answers everything there with 503, the holder this with 401."""
    try:
        return (await http.post(f"{hub.fleet}/v1/fleet/pull-messages")).status_code == 401
    except httpx.TransportError:
        return False
