"""The whole API, at a real hub: asked anything, by every role; and killed in the middle of an upload."""

import asyncio
import base64
import hashlib
import os
from collections.abc import AsyncGenerator
from pathlib import Path

import httpx
import pytest
from whole_hub import WholeHub, whole_hub

from any_requests import failures_of_any_requests
from flip_hub.auth.permissions import Permission, Role
from flip_hub.uploads.routes import PART, TUS

_ONE_ACCOUNT = r"/users/\{"
"""Would end the admin's own, whose name is in its token. So a program asks, which knows only accounts that it made."""
_ALL_ACCOUNTS = "^GET /api/v1/users$"
CONTENT = os.urandom(8_000_000)


@pytest.mark.asyncio
async def test_whatever_anybody_asks_is_answered_as_described(folder: Path, mongo_url: str) -> None:
    async with whole_hub(folder, mongo_url) as hub:
        for role, without in ((Role.VIEWER, ""), (Role.OPERATOR, ""), (Role.ADMIN, _ONE_ACCOUNT)):
            found = await failures_of_any_requests(
                hub.url, await hub.bearer(role), examples=5, seconds=50, folder=folder, without=without
            )
            assert not found, f"{role}: {found}"
        program = await hub.bearer_of_program(Permission.USERS_MANAGE)
        found = await failures_of_any_requests(
            hub.url, program, examples=10, seconds=20, folder=folder, only="/users", without=_ALL_ACCOUNTS
        )
        assert not found, found


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
    half, killed = len(CONTENT) // 2, asyncio.Event()

    async def slowly() -> AsyncGenerator[bytes]:
        yield CONTENT[:half]
        await killed.wait()
        yield CONTENT[half:]

    said = {**speaks, "Content-Type": PART, "Upload-Offset": "0"}
    async with asyncio.timeout(120):
        sending = asyncio.create_task(hub.http.patch(path, content=slowly(), headers=said))
        while int((await hub.http.head(path, headers=speaks)).headers["Upload-Offset"]) == 0:
            await asyncio.sleep(0.05)
        assert hub.process.pid is not None
        os.kill(hub.process.pid, 9)
        await hub.process.wait()
        killed.set()
        with pytest.raises(httpx.TransportError):
            await sending
