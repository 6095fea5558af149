"""The first page of all: the first admin is made, and whoever guesses passwords waits."""

from pathlib import Path

import pytest
from playwright.async_api import async_playwright, expect
from screen import PATIENCE, WIDE, photographed

from bench.browser import CHROMIUM_ARGUMENTS, chromium
from core_hub import running_core
from flip_hub.auth.setup_code import SetupCode

pytestmark = pytest.mark.asyncio

PASSWORD = "correct horse battery"


async def test_the_first_admin_is_made_with_the_code_and_a_guesser_is_told_to_wait(
    folder: Path, mongo_url: str
) -> None:
    async with running_core(folder, mongo_url, people=False) as hub, async_playwright() as playwright:
        code = SetupCode(hub.settings.hub.state)
        code.make()
        browser = await playwright.chromium.launch(executable_path=chromium(), args=CHROMIUM_ARGUMENTS)
        page = await browser.new_page(base_url=hub.url, viewport=WIDE, reduced_motion="reduce", locale="en-GB")
        page.set_default_timeout(PATIENCE)
        expect.set_options(timeout=PATIENCE)
        await page.goto("/")
        await expect(page.get_by_text("Nobody has an account on this hub yet.")).to_be_visible()
        await photographed(page, "first-run")
        await page.get_by_label("Set-up code").fill("a guess")
        await page.get_by_label("User name").fill("ada")
        await page.get_by_label("Password").fill(PASSWORD)
        await page.get_by_role("button", name="Make the first account").click()
        await expect(page.get_by_role("alert")).to_contain_text("setup.code")
        await page.get_by_label("Set-up code").fill(code.path.read_text())
        await page.get_by_role("button", name="Make the first account").click()
        await expect(page.get_by_text("No devices yet")).to_be_visible()
        await page.get_by_role("button", name="Sign out").click()
        for _ in range(12):
            await page.get_by_label("User name").fill("ada")
            await page.get_by_label("Password").fill("a guess")
            async with page.expect_response("**/auth/login") as answer:
                await page.get_by_role("button", name="Sign in").click()
            if (await answer.value).status == 429:
                break
        await expect(page.get_by_role("button", name="Try again in")).to_be_disabled()
        await expect(page.get_by_role("alert")).to_contain_text("too many")
        await photographed(page, "login-wait")
        await browser.close()
