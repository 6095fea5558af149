"""The console in front of the hub itself: its login, its registry and its live frames."""

from pathlib import Path

import pytest
from playwright.async_api import Page, async_playwright, expect
from screen import PATIENCE

from bench.browser import CHROMIUM_ARGUMENTS, chromium
from core_hub import CoreHub, running_core
from flip_hub.auth.passwords import Passwords
from flip_hub.auth.permissions import Role
from flip_hub.users.store import UserStore, new_user

pytestmark = pytest.mark.asyncio

HEARTBEAT = 2.0
"""Seconds; a device is unknown after two without a sign of life."""


async def test_a_device_appears_and_falls_silent_before_ones_eyes(folder: Path, mongo_url: str) -> None:
    async with (
        running_core(folder, mongo_url, heartbeat=HEARTBEAT) as hub,
        async_playwright() as playwright,
    ):
        await _add_admin(hub, "correct horse")
        browser = await playwright.chromium.launch(executable_path=chromium(), args=CHROMIUM_ARGUMENTS)
        page = await browser.new_page(base_url=hub.url)
        page.set_default_timeout(PATIENCE)
        expect.set_options(timeout=PATIENCE)

        await page.goto("/devices")
        await _sign_in(page, "a guess")
        await expect(page.get_by_role("alert")).to_contain_text("wrong name or password")
        await _sign_in(page, "correct horse")
        await expect(page.get_by_text("flip-hub enrolment-tokens create")).to_be_visible()
        await expect(page.get_by_role("status", name="Link to the hub")).to_have_text("Live")

        await hub.enrol("press-line-3")
        row = page.get_by_role("row").filter(has_text="press-line-3")
        await expect(row).to_contain_text("Healthy")
        await expect(row).to_contain_text("Unknown since")

        await page.goto("/models")
        await expect(page.get_by_role("alert")).to_contain_text("GET /api/docs lists the calls")  # none in this hub
        await browser.close()


async def _sign_in(page: Page, password: str) -> None:
    await page.get_by_label("User name").fill("ada")
    await page.get_by_label("Password").fill(password)
    await page.get_by_role("button", name="Sign in").click()


async def _add_admin(hub: CoreHub, password: str) -> None:
    hashed = await Passwords().hash(password)
    admin = new_user("ada", hashed, Role.ADMIN)
    await UserStore(hub.mongo.database).add(admin)
