"""`flip-hub serve` in a process of its own, with an account of each role."""

import asyncio
import secrets
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import msgspec

from configuration import toml_of
from flip_demo.ports import free_port
from flip_hub.auth.permissions import Permission, Role
from flip_hub.founding import found_hub
from flip_hub.settings import ControlSection, FleetSection, HubSection, MongoSection, Settings, SuperlinkSection
from flip_runtime.child import Child

_PASSWORD = "a password that nobody guesses"


@dataclass(frozen=True)
class WholeHub:
    url: str
    process: Child
    http: httpx.AsyncClient
    passwords: dict[Role, str]

    async def wait_ready(self) -> None:
        await self.process.wait_until(self._ready, within=120)

    async def bearer(self, role: Role) -> dict[str, str]:
        """Waits as it is told to: whoever asks anything has guessed passwords, too, from the same address."""
        login = {"username": role.value, "password": self.passwords[role]}
        async with asyncio.timeout(120):
            while (answer := await self.http.post("/api/v1/auth/login", json=login)).status_code == 429:
                await asyncio.sleep(float(answer.headers["Retry-After"]))
        assert answer.status_code == 200, answer.text
        return {"Authorization": f"Bearer {answer.json()['token']}"}

    async def bearer_of_program(self, *scope: Permission) -> dict[str, str]:
        """An API token of the admin's, which does not say whose it is."""
        wanted = msgspec.json.encode({"name": "program", "scope": scope})
        answer = await self.http.post("/api/v1/tokens", content=wanted, headers=await self.bearer(Role.ADMIN))
        assert answer.is_success, answer.text
        return {"Authorization": f"Bearer {answer.json()['token']}"}

    async def _ready(self) -> bool:
        try:
            return (await self.http.get("/health/ready")).is_success
        except httpx.TransportError:
            return False


@asynccontextmanager
async def whole_hub(folder: Path, mongo_url: str) -> AsyncGenerator[WholeHub]:
    settings = Settings(
        hub=HubSection(state=folder / "hub", port=free_port(), tls=False),
        mongo=MongoSection(url=mongo_url, database=f"test_{secrets.token_hex(6)}"),
        fleet=FleetSection(port=free_port()),
        superlink=SuperlinkSection(port=free_port()),
        control=ControlSection(port=free_port()),
    )
    config = folder / "hub.toml"
    config.write_text(toml_of(settings))
    await asyncio.to_thread(found_hub, settings, Role.ADMIN.value, folder / "password")
    command = [str(Path(sys.executable).with_name("flip-hub")), "serve", "--config", str(config)]
    process = Child("hub", command, log_file=folder / "hub.log")
    url = f"http://127.0.0.1:{settings.hub.port}"
    async with httpx.AsyncClient(base_url=url, timeout=60.0, trust_env=False) as http:
        made = (folder / "password").read_text().strip()
        hub = WholeHub(url, process, http, {**dict.fromkeys(Role, _PASSWORD), Role.ADMIN: made})
        await process.start()
        try:
            await hub.wait_ready()
            admin = await hub.bearer(Role.ADMIN)
            for role in (Role.VIEWER, Role.OPERATOR):
                account = msgspec.json.encode({"username": role.value, "role": role.value, "password": _PASSWORD})
                answer = await http.post("/api/v1/users", content=account, headers=admin)
                assert answer.is_success, answer.text
            yield hub
        finally:
            await process.stop()
