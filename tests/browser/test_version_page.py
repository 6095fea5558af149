"""A version is traced in the console: to its run, the devices whose updates are in it, and what became of each."""

from collections.abc import AsyncGenerator
from pathlib import Path

import pytest
import pytest_asyncio
from console_hub import ConsoleHub, console_hub
from playwright.async_api import expect
from screen import photographed

from flip_hub.federation.schemas import (
    MessagesPushed,
    RepliesTaken,
    ReplyContent,
    ReplyReceived,
    ReplyRefused,
    Run,
    RunRequest,
    VersionMade,
)
from flip_wire.models import Sha256

pytestmark = pytest.mark.asyncio


@pytest_asyncio.fixture
async def hub(folder: Path, mongo_url: str) -> AsyncGenerator[ConsoleHub]:
    async with console_hub(folder, mongo_url) as hub:
        for name in ("press-line-1", "press-line-2", "press-line-3"):
            await hub.core.enrol(name)

        yield hub


async def test_a_promoted_version_leads_to_its_devices_and_each_update_to_its_fate(hub: ConsoleHub) -> None:
    page = hub.page
    run = await a_round(hub)
    await page.goto("/models/tiny")
    await page.get_by_role("link", name="Where version 1 comes from").click()
    await expect(page.get_by_role("heading", level=1)).to_have_text("tiny 1")
    picture = page.get_by_role("list", name="Where it comes from, and where it went")
    await expect(picture).to_contain_text("not promoted now")
    await hub.parts.models.promote("tiny", 1)
    await page.reload()
    await expect(picture).to_contain_text("to every device at once")
    devices = page.get_by_role("table", name="Devices whose updates went into this version")
    await expect(devices.get_by_role("row")).to_have_count(3)
    await expect(devices.get_by_role("row").filter(has_text="press-line-1")).to_contain_text("64")
    await photographed(page, "version")
    await page.get_by_role("link", name="tiny 1.2.0, round 1").click()
    await page.wait_for_url(f"**/runs/{run.id}")
    fates = page.get_by_role("table", name="What became of what devices sent")
    await expect(fates.get_by_role("row").filter(has_text="press-line-1")).to_contain_text("counted")
    await expect(fates.get_by_role("row").filter(has_text="press-line-1")).to_contain_text("66.7")
    await expect(fates.get_by_role("row").filter(has_text="press-line-1")).to_contain_text("976.6")
    await expect(fates.get_by_role("row").filter(has_text="press-line-3")).to_contain_text("w has 3 values that are")


async def a_round(hub: ConsoleHub) -> Run:
    """Two of three devices' updates make a version; the third's is refused."""
    app = await hub.add_app()
    run = await hub.parts.runs.start(RunRequest(fab_hash=app.fab_hash))
    take, number = hub.parts.reports.take, run.flower_run_id
    nodes = [record.node_id for record in sorted(await hub.core.core.devices.records(), key=lambda each: each.name)]
    ids = {node: f"m-{index}" for index, node in enumerate(nodes) if node is not None}
    await take(number, MessagesPushed(round=1, phase="train", nodes=[*ids], messages=[*ids.values()]))
    for (node, message), weight in zip(ids.items(), (64.0, 32.0, 32.0), strict=True):
        content = ReplyContent(sha256=Sha256("a" * 64), size=1_000_000, weight=weight)
        reply = ReplyReceived(round=1, phase="train", node=node, error="", message=message, content=content)
        await take(number, reply)
    *_, (node, message) = ids.items()
    why = "w has 3 values that are no numbers"
    await take(number, ReplyRefused(round=1, phase="train", node=node, message=message, reason=why))
    await take(number, RepliesTaken(messages=["m-0", "m-1"], weights={"m-0": 2 / 3, "m-1": 1 / 3}))
    await take(number, VersionMade(manifest=await hub.manifest("tiny", 1, run.id), warning=""))
    return run
