"""Whom the WebSocket of the console refuses is in the audit, as refused calls are, and as bounded as they are."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest
import pytest_asyncio
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from core_hub import CoreHub, running_core
from flip_hub.audit.entry import Entry
from flip_hub.audit.refusals import EACH
from flip_hub.auth.permissions import Permission, Role
from flip_hub.auth.schemas import GRANTS

pytestmark = pytest.mark.asyncio

ACTION = "WEBSOCKET /api/v1/live"


@pytest_asyncio.fixture
async def hub(folder: Path, mongo_url: str) -> AsyncGenerator[CoreHub]:
    async with running_core(folder, mongo_url) as started, asyncio.timeout(120):
        yield started


async def cut_off(hub: CoreHub, *said: object) -> int:
    """Says that, one after the other; with which code the hub ends the connection."""
    async with connect(hub.url.replace("http", "ws") + "/api/v1/live", proxy=None) as socket:
        with pytest.raises(ConnectionClosed) as closed:
            await _say(socket, said)
    assert closed.value.rcvd is not None
    return closed.value.rcvd.code


async def _say(socket: ClientConnection, said: Sequence[object]) -> None:
    for each in said:
        await socket.send(msgspec.json.encode(each).decode())
    while True:
        await socket.recv()


async def refused(hub: CoreHub, count: int = 1) -> list[tuple[str, str]]:
    """Who and why, the newest first; they are written a moment after they were told."""
    async with asyncio.timeout(30):
        while len(found := await _entries(hub)) < count:
            await asyncio.sleep(0.05)
    return [(entry.actor, entry.detail) for entry in found]


async def _entries(hub: CoreHub) -> list[Entry]:
    sought: dict[str, Any] = {"action": ACTION, "refused": True}
    answer = await hub.http.get("/api/v1/audit", params=sought, headers=hub.as_user())
    return msgspec.json.decode(answer.content, type=list[Entry])


def token_of(hub: CoreHub, role: Role) -> str:
    return hub.bearers[role]


async def test_forged_tokens_users_who_lost_their_rights_and_forbidden_topics_are_noted(
    hub: CoreHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert await cut_off(hub, {"token": "forged"}) == 4401
    assert await refused(hub) == [("", "401 log in, then connect again")]
    monkeypatch.setitem(GRANTS, Role.VIEWER, frozenset({Permission.RUNS_READ}))
    viewer = token_of(hub, Role.VIEWER)
    forbidden = ("viewer", "403 viewer may not watch devices")
    assert await cut_off(hub, {"token": viewer, "topics": ["devices"]}) == 4403
    assert (await refused(hub, 2))[0] == forbidden
    assert await cut_off(hub, {"token": viewer}, {"topics": ["devices"]}) == 4403
    assert (await refused(hub, 3))[0] == forbidden
    disabled = await hub.http.patch("/api/v1/users/operator", json={"disabled": True}, headers=hub.as_user())
    assert disabled.status_code == 200, disabled.text
    assert await cut_off(hub, {"token": token_of(hub, Role.OPERATOR)}) == 4401
    assert (await refused(hub, 4))[0] == ("", "401 log in, then connect again")
    assert viewer not in str(await _entries(hub))


async def test_a_reader_that_is_served_and_leaves_is_not_noted(hub: CoreHub) -> None:
    async with connect(hub.url.replace("http", "ws") + "/api/v1/live", proxy=None) as socket:
        await socket.send(msgspec.json.encode({"token": token_of(hub, Role.ADMIN)}).decode())
        await socket.recv()
    await hub.enrolment_token()  # what was noted before it is written with it
    assert await _entries(hub) == []


async def test_whoever_knocks_again_and_again_fills_no_page(hub: CoreHub) -> None:
    for _ in range(EACH + 5):
        assert await cut_off(hub, {"token": "forged"}) == 4401
    await hub.enrolment_token()
    assert len(await _entries(hub)) == EACH
