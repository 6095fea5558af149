"""Where the time went, in the console of a real hub: told by real devices while one looks on."""

import re
from pathlib import Path

import pytest
from playwright.async_api import async_playwright, expect
from screen import PATIENCE

from bench.browser import CHROMIUM_ARGUMENTS, ROOT, chromium
from federation import small_federation, start_run

APP = ROOT / "tests" / "apps" / "counting"
ACCOUNT = re.compile(r"Receive .*sec.*, Train .*sec.*, Deliver .*sec.*, Settle .*sec")
ROUND = 120_000
"""Milliseconds that the first round may take: its devices wake up for it."""


@pytest.mark.asyncio
async def test_a_round_s_time_appears_device_by_device_before_ones_eyes(folder: Path) -> None:
    federation = small_federation(folder)
    async with federation.running(lambda _: None), async_playwright() as playwright:
        run = await start_run(federation, APP, num_server_rounds=1, out=str(folder / "out"))
        browser = await playwright.chromium.launch(executable_path=chromium(), args=CHROMIUM_ARGUMENTS)
        page = await browser.new_page(base_url=federation.url)
        page.set_default_timeout(PATIENCE)
        await page.goto(f"/runs/{run.id}")
        await page.get_by_label("User name").fill("admin")
        await page.get_by_label("Password").fill(federation.layout.password.read_text().strip())
        await page.get_by_role("button", name="Sign in").click()

        table = page.get_by_role("table", name="Where the time of round 1, training, went")
        for device in ("north", "east"):
            row = table.get_by_role("row").filter(has_text=device)
            await expect(row).to_contain_text("counted in its round", timeout=ROUND)
            bar = page.get_by_role("img", name=f"{device}: Receive")
            await expect(bar).to_have_accessible_name(ACCOUNT)
        await browser.close()
