"""A run's log is followed as server-sent events, and gone on with where a reader was cut off."""

from collections.abc import AsyncGenerator
from pathlib import Path

import httpx
import pytest
import pytest_asyncio
from hub_parts import HubParts, fab_of, hub_parts

from core_hub import problem
from flip_hub.federation.log_events import EVENTS
from flip_hub.federation.schemas import RunRequest


@pytest_asyncio.fixture
async def hub(folder: Path, mongo_url: str) -> AsyncGenerator[HubParts]:
    async with hub_parts(mongo_url, folder) as parts:
        await parts.enrol("north")
        yield parts


async def _follow(http: httpx.AsyncClient, run_id: str, after: str | None = None) -> httpx.Response:
    headers = {"Accept": EVENTS} | ({} if after is None else {"Last-Event-ID": after})
    return await http.get(f"/api/v1/runs/{run_id}/logs", headers=headers)


@pytest.mark.asyncio
async def test_a_log_is_followed_to_the_end_of_its_run_and_gone_on_with(hub: HubParts) -> None:
    app = await hub.apps.add(fab_of())
    run = await hub.runs.start(RunRequest(fab_hash=app.fab_hash), "ada")
    hub.control.lines = [(10.5, "one\ntwo"), (11.25, "\x1b[92mthree\x1b[0m")]
    async with hub.http() as http:
        whole = await _follow(http, run.id)
        assert whole.headers["Content-Type"].startswith(EVENTS)
        events = [event.replace("\r\n", "\n") for event in whole.text.split("\r\n\r\n") if event]
        assert events == ["id: 10.5\ndata: one\ndata: two", "id: 11.25\ndata: three", "id: 11.25\nevent: end\ndata: "]
        rest = await _follow(http, run.id, "10.5")
        assert "one" not in rest.text
        assert "data: three" in rest.text
        problem(await _follow(http, run.id, "yesterday"), 400)
        problem(await _follow(http, "run-0"), 404)
        assert (await http.get(f"/api/v1/runs/{run.id}/logs")).headers["Content-Type"].startswith("text/plain")
