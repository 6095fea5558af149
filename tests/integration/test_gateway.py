"""The Fleet gateway lets enrolled devices through to the SuperLink, and nobody else, and streams."""

import time
import tracemalloc
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import msgspec
import pytest
from flwr.proto.fleet_pb2 import ActivateNodeRequest, ActivateNodeResponse
from flwr.proto.heartbeat_pb2 import SendNodeHeartbeatRequest, SendNodeHeartbeatResponse
from flwr.proto.message_pb2 import PullObjectRequest
from flwr.proto.node_pb2 import Node

from flip_demo.ports import free_port
from flip_hub.federation.gateway import Gateway
from flip_hub.federation.mailboxes import Mailboxes
from flip_hub.federation.superlink import Superlink
from flip_runtime.errors import ConfigError
from flip_wire.problem import Problem
from integration.fleet_rig import NodeKey, Registry, device_client, hub_settings, running
from integration.gateway_rig import MESSAGE, MIB, PULL, StubSuperlink, rig_in, serving

pytestmark = pytest.mark.asyncio


def problem(answer: httpx.Response) -> Problem:
    assert answer.headers["content-type"] == "application/problem+json"
    return msgspec.json.decode(answer.content, type=Problem)


# ---- who is let in ----------------------------------------------------------------------------------------------


async def test_only_enrolled_unrevoked_devices_with_a_fresh_signature_pass(folder: Path) -> None:
    async with rig_in(folder) as rig:
        stranger, revoked = NodeKey(), NodeKey()
        rig.registry.enrol(revoked)
        rig.registry.revoke(revoked)
        good = rig.key.headers()
        refusals = [
            ({}, 401, "flwr-public-key is missing"),
            ({**good, "flwr-signature": "?"}, 401, "malformed"),
            ({**good, "flwr-public-key": stranger.headers()["flwr-public-key"]}, 401, "does not match"),
            (rig.key.headers(seconds_ago=306), 401, "306 s old"),
            (rig.key.headers(seconds_ago=-8), 401, "s old"),
            (stranger.headers(), 403, "no enrolled device"),
            (revoked.headers(), 403, "revoked"),
        ]
        for headers, status, detail in refusals:
            answer = await rig.post("/send-node-heartbeat", headers)
            assert (answer.status_code, detail in problem(answer).detail) == (status, True), answer.text
            assert problem(answer).hint
            assert abs(float(answer.headers["flip-time"]) - time.time()) < 5
        assert rig.superlink.headers == {}
        assert (await rig.post("/send-node-heartbeat", good)).status_code == 200


async def test_nothing_but_the_fleet_calls_is_there(folder: Path) -> None:
    async with rig_in(folder) as rig:
        for path in ["/start-run", "/../control/list-runs", "/pull-messages/x", ""]:
            assert (await rig.post(path, rig.key.headers())).status_code == 404
        assert (await rig.client.get("/pull-messages", headers=rig.key.headers())).status_code == 404
        assert rig.superlink.headers == {}


async def test_only_flowers_own_headers_are_passed_on(folder: Path) -> None:
    async with rig_in(folder) as rig:
        headers = {**rig.key.headers(), "cookie": "a=b", "x-forwarded-for": "1.2.3.4", "flwr-version": "1.41"}
        answer = await rig.post("/get-run", headers)
        assert answer.headers["flwr-test"] == "yes"
        assert rig.superlink.headers[b"flwr-version"] == b"1.41"
        assert not {b"cookie", b"x-forwarded-for"} & set(rig.superlink.headers)


async def test_a_superlink_that_is_away_is_503_with_a_time_to_try_again(folder: Path) -> None:
    settings = hub_settings(folder, fleet=free_port(), superlink=free_port())
    registry, key = Registry(), NodeKey()
    registry.enrol(key)
    gateway = Gateway(settings, registry, registry, Mailboxes(), registry)
    async with running(gateway.run(), settings.fleet.port), device_client(settings) as client:
        answer = await client.post("/pull-messages", content=PULL, headers=key.headers())
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")


async def test_a_missing_certificate_and_a_taken_port_are_configuration_errors(folder: Path) -> None:
    settings = hub_settings(folder, fleet=free_port(), superlink=free_port())
    gateway = Gateway(settings, Registry(), Registry(), Mailboxes(), Registry())
    async with serving(StubSuperlink(), settings.fleet.port):
        with pytest.raises(ConfigError, match=r"fleet\.port"):
            await gateway.run()
    (folder / "fleet.pem").unlink()
    with pytest.raises(ConfigError, match="flip-hub init"):
        await gateway.run()


# ---- bodies -----------------------------------------------------------------------------------------------------


async def test_large_objects_pass_in_both_directions_without_being_held_in_memory(folder: Path) -> None:
    async def upload() -> AsyncIterator[bytes]:
        for _ in range(20 * MIB // 2**16):
            yield bytes(2**16)

    async with rig_in(folder) as rig:
        rig.superlink.answers = [MESSAGE]
        await rig.pull()
        wanted = PullObjectRequest(node=Node(node_id=7), object_id="m").SerializeToString()
        tracemalloc.start()
        try:
            received = rig.superlink.received
            answer = await rig.client.post("/push-object", content=upload(), headers=rig.key.headers())
            assert (answer.status_code, rig.superlink.received - received) == (200, 20 * MIB)
            async with rig.client.stream("POST", "/pull-object", content=wanted, headers=rig.key.headers()) as stream:
                assert sum([len(chunk) async for chunk in stream.aiter_raw()]) == 20 * MIB
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert peak < 6 * MIB


async def test_a_body_beyond_the_limit_is_refused(folder: Path) -> None:
    async with rig_in(folder) as rig:
        answer = await rig.post("/pull-messages", rig.key.headers(), bytes(2**16 + 1))
        assert answer.status_code == 413
        answer = await rig.post("/pull-messages", rig.key.headers(), b"\xff\xff\xff")
        assert (answer.status_code, "protobuf" in problem(answer).detail) == (400, True)


# ---- with Flower's own SuperLink --------------------------------------------------------------------------------


async def test_an_enrolled_key_is_a_node_again_after_the_superlink_has_lost_it(folder: Path) -> None:
    settings = hub_settings(folder, fleet=free_port(), superlink=free_port())
    registry, key = Registry(), NodeKey()
    device_id = registry.enrol(key)
    activate = ActivateNodeRequest(public_key=key.pem, heartbeat_interval=30).SerializeToString()
    other = NodeKey()
    registry.enrol(other)
    nodes: set[int] = set()
    gateway = Gateway(settings, registry, registry, Mailboxes(), registry)
    async with device_client(settings) as client, running(gateway.run(), settings.fleet.port):
        for _ in range(2):
            async with running(Superlink(settings).run(), settings.superlink.port):
                answer = await client.post("/activate-node", content=activate, headers=key.headers())
                node = ActivateNodeResponse.FromString(answer.content).node_id
                assert registry.nodes[device_id] == str(node)
                nodes.add(node)
                beat = SendNodeHeartbeatRequest(node=Node(node_id=node), heartbeat_interval=30).SerializeToString()
                answer = await client.post("/send-node-heartbeat", content=beat, headers=key.headers())
                assert SendNodeHeartbeatResponse.FromString(answer.content).success
                answer = await client.post("/send-node-heartbeat", content=beat, headers=other.headers())
                assert answer.status_code == 401, "a device must not speak for another's node"
    assert len(nodes) == 1, "its id follows from its key"
