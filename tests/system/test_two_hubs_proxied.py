"""Two hubs behind nginx are one to whoever calls, and stay so when a hub dies, a mongod dies, or Redis is away."""

import asyncio
import json
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import msgspec
import pytest
from flwr.proto.fleet_pb2 import ActivateNodeRequest, ActivateNodeResponse
from proxied_hubs import LEASE, ProxiedHubs
from websockets.asyncio.client import connect

from core_hub import SPOKEN, TestDevice, log_batch
from flip_wire.fleet import DeviceId, DeviceToken, EnrolRequest
from integration.fleet_rig import NodeKey

JSON = {"Content-Type": "application/json", **SPOKEN}


class Console:
    """A person and a device, who know nginx alone."""

    def __init__(self, hubs: ProxiedHubs, http: httpx.AsyncClient) -> None:
        self._hubs = hubs
        self.http = http
        self.node = NodeKey()
        self.device = TestDevice(self.node.private)
        self.acknowledged: list[int] = []

    async def log_in(self) -> bool:
        login = {"username": "ada", "password": self._hubs.password.read_text().strip()}
        answer = await self.http.post("/api/v1/auth/login", json=login)
        if answer.status_code == 200:
            self.bearer = {"Authorization": f"Bearer {answer.json()['token']}"}
        return answer.status_code == 200

    async def enrol(self) -> None:
        token = (await self.http.post("/api/v1/enrolment-tokens", json={}, headers=self.bearer)).json()["token"]
        request = EnrolRequest(token=token, name="box", public_key=self.device.public_key, agent_version="0.1.0")
        enrolled = await self.http.post("/api/v1/enrol", content=msgspec.json.encode(request), headers=JSON)
        assert enrolled.status_code == 201, enrolled.text
        device = TestDevice(self.device.key, DeviceId(enrolled.json()["device_id"]))
        answer = await self.http.post(
            "/api/v1/device/token", content=msgspec.json.encode(device.assertion()), headers=JSON
        )
        token = msgspec.json.decode(answer.content, type=DeviceToken).token
        self.device = TestDevice(device.key, device.id, token)

    async def beat(self) -> bool:
        """Sends one event more, as an agent does: the same again until it is acknowledged."""
        seq = len(self.acknowledged) + 1
        batch = msgspec.json.encode(log_batch([seq]))
        try:
            answer = await self.http.post(
                "/api/v1/device/telemetry", content=batch, headers={**JSON, **self.device.headers}
            )
        except httpx.TransportError:
            return False
        if answer.status_code == 200:
            self.acknowledged.append(seq)
        else:
            assert answer.status_code in (502, 503, 504), answer.text
        return answer.status_code == 200

    async def beats_again(self) -> float:
        """Seconds until one is acknowledged."""
        began = time.monotonic()
        async with asyncio.timeout(120):
            while not await self.beat():
                await asyncio.sleep(0.1)
        return time.monotonic() - began

    async def joins_the_fleet(self) -> float:
        """Seconds until the gateway has activated its node."""
        began = time.monotonic()
        request = ActivateNodeRequest(public_key=self.node.pem, heartbeat_interval=30.0).SerializeToString()
        async with asyncio.timeout(180):
            while True:
                url = f"{self._hubs.fleet}/v1/fleet/activate-node"
                answer = await self.http.post(url, content=request, headers=self.node.headers())
                if answer.status_code == 200:
                    assert ActivateNodeResponse.FromString(answer.content).node_id
                    return time.monotonic() - began
                assert answer.status_code in (502, 503, 504), answer.text
                await asyncio.sleep(0.2)

    async def events(self) -> list[int]:
        answer = await self.http.get(f"/api/v1/devices/{self.device.id}/events?limit=1000", headers=self.bearer)
        assert answer.status_code == 200, answer.text
        return sorted(event["seq"] for event in answer.json())


@asynccontextmanager
async def proxied(folder: Path) -> AsyncGenerator[tuple[ProxiedHubs, Console]]:
    hubs = ProxiedHubs(folder)
    try:
        await hubs.start()
        async with httpx.AsyncClient(base_url=hubs.url, verify=hubs.trust, timeout=30.0, trust_env=False) as http:
            yield hubs, Console(hubs, http)
    finally:
        await hubs.stop()


@pytest.mark.asyncio
async def test_two_hubs_behind_nginx_are_one_and_outlive_a_hub_a_mongod_and_redis(folder: Path) -> None:
    async with proxied(folder) as (hubs, console):
        assert await console.log_in()
        await console.enrol()

        # one session, and one picture of the fleet, at both hubs
        for hub in hubs.hubs:
            shown = await console.http.get(f"{hub.url}/api/v1/devices", headers=console.bearer)
            assert [device["name"] for device in shown.json()] == ["box"]
        for hub in hubs.hubs:
            async with connect(f"{hub.url.replace('https', 'wss')}/api/v1/live", ssl=hubs.trust) as socket:
                await socket.send(json.dumps({"token": console.bearer["Authorization"].removeprefix("Bearer ")}))
                async with asyncio.timeout(60):
                    while not any(frame["topic"] == "device" for frame in json.loads(await socket.recv())):
                        assert await console.beat()

        # the holder's gateway is found wherever it is, and again when the holder is dead
        holder = await hubs.holder()
        assert await console.joins_the_fleet() < 60
        await holder.kill()
        await console.beats_again()
        assert (await console.http.get("/api/v1/auth/me", headers=console.bearer)).status_code == 200
        took = await console.joins_the_fleet()
        assert await hubs.holder() is not holder
        print(f"the other hub took over within {took:.1f} s (lease {LEASE:g} s)")
        await holder.process.start()

        # an election of the registry's loses nothing that was acknowledged
        primary = await hubs.mongo.primary()
        await hubs.mongo.kill(primary)
        print(f"telemetry again {await console.beats_again():.1f} s after the primary was killed")
        await hubs.mongo.start_member(primary)

        # without Redis devices go on, and people are told when to try again
        hubs.redis.stop()
        assert await console.beats_again() < 60
        refused = await console.http.get("/api/v1/devices", headers=console.bearer)
        if refused.status_code != 200:
            assert (refused.status_code, "Retry-After" in refused.headers) == (503, True), refused.text
        hubs.redis.start()
        async with asyncio.timeout(60):
            while (
                await console.http.post("/api/v1/auth/login", json={"username": "ada", "password": "no"})
            ).status_code != 401:
                await asyncio.sleep(0.2)
        await console.log_in()
        assert await console.events() == console.acknowledged
