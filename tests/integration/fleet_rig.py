"""What the tests of gateway and launcher stand on: keys, certificates, a registry in memory, calls as a device's."""

import asyncio
import ssl
from base64 import b64encode
from collections.abc import AsyncGenerator, Coroutine
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from msgspec.structs import replace

from flip_hub.certificates import make_authority, make_server
from flip_hub.devices.keys import fingerprint_of
from flip_hub.devices.leash import Leashes
from flip_hub.devices.schemas import Device, DeviceStatus
from flip_hub.federation.fleet_call import Call
from flip_hub.problem import NotFound
from flip_hub.settings import FleetSection, HubSection, Settings, SuperlinkSection
from flip_runtime.child import port_open
from flip_wire.fleet import DesiredState, DeviceId


def hub_settings(folder: Path, *, fleet: int, superlink: int, api: int = 1) -> Settings:
    """Settings of a hub in that folder, which has its certificates and its internal secret."""
    authority = make_authority()
    gateway = make_server(authority, ["localhost", "127.0.0.1"])
    files = {"ca.pem": authority.certificate, "fleet.pem": gateway.certificate, "fleet.key": gateway.key}
    for name, content in {**files, "internal.secret": b"internal"}.items():
        (folder / name).write_bytes(content)
    return Settings(
        hub=HubSection(state=folder, port=api, tls=False),
        fleet=FleetSection(port=fleet),
        superlink=SuperlinkSection(port=superlink),
    )


class NodeKey:
    """A device's key, which signs as Flower's SuperNode does."""

    def __init__(self) -> None:
        self.private = ec.generate_private_key(ec.SECP384R1())
        public = self.private.public_key()
        self.pem = public.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
        self.fingerprint = fingerprint_of(public)

    def private_pem(self) -> bytes:
        """In OpenSSH's format, the one that `flower-supernode` reads."""
        encoding, form = serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH
        return self.private.private_bytes(encoding, form, serialization.NoEncryption())

    def headers(self, *, seconds_ago: float = 0.0) -> dict[str, str]:
        timestamp = (datetime.now(UTC) - timedelta(seconds=seconds_ago)).isoformat()
        signature = self.private.sign(timestamp.encode(), ec.ECDSA(hashes.SHA256()))
        return {
            "flwr-public-key": b64encode(self.pem).decode(),
            "flwr-timestamp": timestamp,
            "flwr-signature": b64encode(signature).decode(),
            "content-type": "application/protobuf",
        }


class Registry:
    """The hub's devices, and the signatures of its apps, in memory; it knows of no replies."""

    def __init__(self) -> None:
        self.devices: dict[str, Device] = {}
        self.leashes = Leashes()
        self.nodes: dict[DeviceId, str] = {}
        self.signatures: dict[str, str] = {}
        """Of whatever app is asked for."""

    def enrol(self, key: NodeKey) -> DeviceId:
        device_id = DeviceId(f"dev-{len(self.devices):012x}")
        self.devices[key.fingerprint] = Device(
            id=device_id,
            name=f"device {len(self.devices)}",
            status=DeviceStatus.OK,
            enrolled_at=0.0,
            enrolled_by="",
            last_seen=None,
            agent_version="",
            node_id=None,
            desired=DesiredState(generation=1),
            reported=None,
            differences=[],
            health=None,
            events_accepted=0,
            events_dropped=0,
            unknown_since=None,
            wire_version=0,
            site="",
            tags=[],
            groups=[],
            note="",
            clone=None,
        )
        return device_id

    def revoke(self, key: NodeKey) -> None:
        self.devices[key.fingerprint] = replace(self.devices[key.fingerprint], status=DeviceStatus.REVOKED)
        self.leashes.cut(self.devices[key.fingerprint].id)

    async def by_key(self, fingerprint: str) -> Device | None:
        return self.devices.get(fingerprint)

    async def verifications(self, fab_hash: str) -> dict[str, str]:
        return self.signatures

    async def answer(self, call: Call, device: Device) -> None:
        raise NotFound(f"{call.path} is not answered here to {device.name}")

    async def node_activated(self, device_id: DeviceId, node_id: str) -> None:
        self.nodes[device_id] = node_id


@asynccontextmanager
async def running(service: Coroutine[object, object, object], port: int, within: float = 90.0) -> AsyncGenerator[None]:
    """Runs a service until the end of the block, which begins when its port answers."""
    task = asyncio.create_task(service)
    try:
        async with asyncio.timeout(within):
            while not await port_open(port):
                if task.done():
                    await task
                await asyncio.sleep(0.05)
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


def device_client(settings: Settings) -> httpx.AsyncClient:
    """HTTPS to the gateway, trusting the hub's authority alone."""
    trust = ssl.create_default_context(cafile=settings.hub.state / "ca.pem")
    base = f"https://127.0.0.1:{settings.fleet.port}/v1/fleet"
    return httpx.AsyncClient(base_url=base, verify=trust, trust_env=False, timeout=30.0)
