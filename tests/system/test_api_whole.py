"""The whole API, at a real hub: asked anything, by every role; and killed in the middle of an upload."""

import asyncio
import base64
import hashlib
import os
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest
from whole_hub import WholeHub, whole_hub

from any_requests import failures_of_any_requests
from flip_hub.auth.permissions import Role
from flip_hub.uploads.routes import PART, TUS

CONTENT = os.urandom(8_000_000)


@pytest.mark.asyncio
async def test_whatever_anybody_asks_is_answered_as_described(folder: Path, mongo_url: str) -> None:
    async with whole_hub(folder, mongo_url) as hub:
        for role in Role:
            found = await failures_of_any_requests(
                hub.url, await hub.bearer(role), examples=20, seconds=60, folder=folder
            )
            assert found == "", role


@pytest.mark.asyncio
async def test_an_upload_goes_on_where_a_killed_hub_was(folder: Path, mongo_url: str) -> None:
    async with whole_hub(folder, mongo_url) as hub:
        speaks = {**await hub.bearer(Role.OPERATOR), "Tus-Resumable": TUS}
        begun = await hub.http.post("/api/v1/uploads", headers={**speaks, "Upload-Length": str(len(CONTENT))})
        path = begun.headers["Location"]
        await _killed_while_sending(hub, path, speaks)
        await hub.process.start()
        await hub.wait_ready()
        speaks |= await hub.bearer(Role.OPERATOR)  # sessions were in the memory of the one that was killed
        reached = int((await hub.http.head(path, headers=speaks)).headers["Upload-Offset"])
        assert 0 < reached < len(CONTENT)
        part = CONTENT[reached:]
        checksum = base64.b64encode(hashlib.sha256(part).digest()).decode()
        said = {"Content-Type": PART, "Upload-Offset": str(reached), "Upload-Checksum": f"sha256 {checksum}"}
        assert (await hub.http.patch(path, content=part, headers={**speaks, **said})).status_code == 204
        whole = (await hub.http.get(path, headers=speaks)).json()
        assert whole["sha256"] == hashlib.sha256(CONTENT).hexdigest()


async def _killed_while_sending(hub: WholeHub, path: str, speaks: dict[str, str]) -> None:
    half, sent = len(CONTENT) // 2, asyncio.Event()

    async def slowly() -> AsyncGenerator[bytes]:
        yield CONTENT[:half]
        sent.set()
        await asyncio.sleep(3600)

    said = {**speaks, "Content-Type": PART, "Upload-Offset": "0"}
    sending = asyncio.create_task(hub.http.patch(path, content=slowly(), headers=said))
    await sent.wait()
    while int((await hub.http.head(path, headers=speaks)).headers["Upload-Offset"]) == 0:
        await asyncio.sleep(0.05)
    assert hub.process.pid is not None
    os.kill(hub.process.pid, 9)
    await asyncio.wait((sending,))
    assert sending.exception() is not None
