"""Whatever the API is asked, it answers as its description says, and never with a mistake of its own."""

from pathlib import Path

import pytest

from any_requests import failures_of_any_requests
from core_hub import running_core
from flip_hub.auth.permissions import Role


@pytest.mark.asyncio
async def test_some_requests_of_every_kind_find_no_mistake(folder: Path, mongo_url: str) -> None:
    async with running_core(folder, mongo_url) as hub:
        await hub.enrol("north")
        found = await failures_of_any_requests(
            hub.url, hub.as_user(Role.OPERATOR), examples=2, seconds=15, folder=folder
        )
    assert not found, found
