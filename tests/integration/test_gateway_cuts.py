"""A device that is revoked is cut off at once, whatever it is doing at the Fleet gateway."""

import asyncio
import ssl
from pathlib import Path

import httpx
import pytest
from flwr.proto.message_pb2 import PullObjectRequest
from flwr.proto.node_pb2 import Node

from integration.gateway_rig import MESSAGE, MIB, PULL, Rig, rig_in, until

pytestmark = pytest.mark.asyncio

WITHIN = 5.0


async def test_in_a_long_poll(folder: Path) -> None:
    async with rig_in(folder) as rig:
        headers = {**rig.key.headers(), "Flip-Wait": "60"}
        waiting = asyncio.create_task(rig.post("/pull-messages", headers, PULL))
        await until(lambda: rig.superlink.pulls == 1)
        rig.registry.revoke(rig.key)
        async with asyncio.timeout(WITHIN):
            answer = await waiting
        assert (answer.status_code, "revoked" in answer.text, rig.mailboxes.waiting) == (403, True, 0)


async def test_in_a_download_that_it_reads_and_in_one_that_it_does_not_read(folder: Path) -> None:
    async with rig_in(folder) as rig:
        for pause in (0.0, 0.5):
            rig.superlink.answers = [MESSAGE]
            await rig.pull()
            read: list[int] = []
            with pytest.raises(httpx.RemoteProtocolError):
                await download(rig, read, pause)
            assert sum(read) < 20 * MIB
            rig.registry.enrol(rig.key)


async def test_in_an_upload(folder: Path) -> None:
    async with rig_in(folder) as rig:
        trust = ssl.create_default_context(cafile=folder / "ca.pem")
        reader, writer = await asyncio.open_connection("127.0.0.1", rig.settings.fleet.port, ssl=trust)
        headers = {**rig.key.headers(), "host": "hub", "content-length": str(20 * MIB)}
        lines = [f"{name}: {value}" for name, value in headers.items()]
        writer.write("\r\n".join(["POST /v1/fleet/push-object HTTP/1.1", *lines, "", ""]).encode() + bytes(MIB))
        await until(lambda: rig.superlink.received >= MIB)
        rig.registry.revoke(rig.key)
        async with asyncio.timeout(WITHIN):
            assert b" 403 " in await reader.readline()
        writer.close()


async def download(rig: Rig, read: list[int], pause: float) -> None:
    """Revoked after the first MiB, and then it may read nothing for a while."""
    wanted = PullObjectRequest(node=Node(node_id=7), object_id="m").SerializeToString()
    stream = rig.client.stream("POST", "/pull-object", content=wanted, headers=rig.key.headers())
    async with stream as answer, asyncio.timeout(WITHIN):
        async for chunk in answer.aiter_raw(2**16):
            read.append(len(chunk))
            if sum(read) == MIB:
                rig.registry.revoke(rig.key)
                await asyncio.sleep(pause)
