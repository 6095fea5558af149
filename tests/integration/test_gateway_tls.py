"""The Fleet gateway takes a new certificate while it runs: for connections that come from then on."""

import asyncio
import ssl
from pathlib import Path

import httpx
import pytest

from flip_hub.certificates import make_authority, make_server
from integration.fleet_rig import device_client
from integration.gateway_rig import Rig, rig_in

pytestmark = pytest.mark.asyncio


async def test_a_replaced_certificate_is_taken_without_a_restart_and_a_half_replaced_one_is_not(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    other = make_authority()
    pair = make_server(other, ["localhost", "127.0.0.1"])
    trusting_other = ssl.create_default_context(cadata=other.certificate.decode())
    async with rig_in(folder) as rig, httpx.AsyncClient(verify=trusting_other, trust_env=False) as newcomer:
        assert await beats(rig, rig.client)  # on a connection that it keeps
        (rig.settings.hub.state / "fleet.key").write_bytes(pair.key)
        await not_taken(caplog)
        async with device_client(rig.settings) as another:
            assert await beats(rig, another), "the pair does not fit: the one before goes on"
        assert not await beats(rig, newcomer)
        (rig.settings.hub.state / "fleet.pem").write_bytes(pair.certificate)
        async with asyncio.timeout(60):
            while not await beats(rig, newcomer):
                await asyncio.sleep(0.1)
        async with device_client(rig.settings) as another:
            assert not await beats(rig, another), "it trusts the authority before alone"
        assert await beats(rig, rig.client)


async def not_taken(caplog: pytest.LogCaptureFixture) -> None:
    async with asyncio.timeout(60):
        while "the new certificate is not taken" not in caplog.messages:
            await asyncio.sleep(0.1)


async def beats(rig: Rig, client: httpx.AsyncClient) -> bool:
    """Whether the device is heard; False when it does not know who answers."""
    url = f"https://127.0.0.1:{rig.settings.fleet.port}/v1/fleet/send-node-heartbeat"
    try:
        answer = await client.post(url, headers=rig.key.headers())
    except httpx.ConnectError as error:
        if "CERTIFICATE_VERIFY_FAILED" not in str(error):
            raise
        return False
    assert answer.status_code == 200, answer.text
    return True
