"""A rollout is started from the console: with the rings and gates that somebody gives, or the hub's own."""

from collections.abc import AsyncGenerator
from pathlib import Path

import pytest
import pytest_asyncio
from console_hub import ConsoleHub, console_hub
from playwright.async_api import Page, expect
from screen import photographed

pytestmark = pytest.mark.asyncio


@pytest_asyncio.fixture
async def hub(folder: Path, mongo_url: str) -> AsyncGenerator[ConsoleHub]:
    """Two versions, of which everybody serves the first."""
    async with console_hub(folder, mongo_url) as hub:
        for name in ("press-line-1", "press-line-2", "press-line-3"):
            await hub.core.enrol(name)
        for round in (1, 2):
            await hub.add_version("tiny", round)
        await hub.parts.models.promote("tiny", 1)
        await hub.page.goto("/models/tiny")
        await hub.page.get_by_role("button", name="Roll out tiny 2").click()
        await expect(hub.page.get_by_role("dialog", name="Roll out tiny 2")).to_be_visible()
        yield hub


async def test_a_rollout_begins_with_the_rings_and_gates_that_were_given(hub: ConsoleHub) -> None:
    page = hub.page
    await page.get_by_label("Rings of this rollout").check()
    await page.get_by_label("Share, more than 0").fill("0.5")
    await page.get_by_label("Soak").fill("60")
    await page.get_by_role("button", name="Add a ring").click()
    await page.locator("[id='ring-2.tags']").fill("lab")
    await page.get_by_role("button", name="Remove ring ring-2").click()
    await page.locator("summary").filter(has_text="Gates").press("Enter")
    await page.get_by_label("Errors beyond those of before").fill("0.01")
    await photographed(page, "start-rollout")
    await page.get_by_role("button", name="Start rollout").click()
    await expect(page.get_by_role("heading", level=1)).to_have_text("tiny 2")
    (rollout,) = (await hub.core.http.get("/api/v1/rollouts", headers=hub.core.as_user())).json()
    rings = [(each["ring"]["name"], each["ring"]["share"], each["ring"]["soak"]) for each in rollout["rings"]]
    assert rings == [("canary", 0.5, 60), ("everybody", 1, 0)]
    assert (rollout["gates"]["errors"], rollout["gates"]["refusals"]) == (0.01, 0.1)


async def test_what_the_hub_refuses_stands_at_the_ring_or_gate(hub: ConsoleHub) -> None:
    page = hub.page
    await page.get_by_label("Rings of this rollout").check()
    await page.locator("[id='ring-1.tags']").fill("nobody-has-it")
    await page.get_by_role("button", name="Start rollout").press("Enter")
    await refused(page, "ring-1.name")
    await expect(page.get_by_role("alert")).to_contain_text("no device is enrolled with tag nobody-has-it")
    await page.locator("[id='ring-1.tags']").fill("")
    await page.locator("[id='ring-1.share']").fill("2")
    await page.get_by_role("button", name="Start rollout").press("Enter")
    await refused(page, "ring-1.share")
    await page.locator("[id='ring-1.share']").fill("0.5")
    await page.locator("summary").filter(has_text="Gates").press("Enter")
    await page.get_by_label("Share that may refuse it").fill("7")
    await page.get_by_role("button", name="Start rollout").press("Enter")
    await refused(page, "gates.refusals")
    assert (await hub.core.http.get("/api/v1/rollouts", headers=hub.core.as_user())).json() == []


async def refused(page: Page, field: str) -> None:
    await expect(page.locator(f"[id='{field}']")).to_have_attribute("aria-invalid", "true")
    await expect(page.locator(f"[id='{field}']")).to_be_focused()
