"""The browser, its sizes, and what is asked of every page."""

import shutil
from pathlib import Path
from typing import Any, Literal

import pytest
from playwright.async_api import Page as AsyncPage
from playwright.sync_api import Locator, Page, ViewportSize, expect

Theme = Literal["light", "dark"]
THEMES: tuple[Theme, ...] = ("light", "dark")

ROOT = Path(__file__).parents[2]
SCREENSHOTS = ROOT / "hub-ui" / "screenshots"
"""Every page, light and dark, wide and narrow, for people to look at."""

WIDE = ViewportSize(width=1280, height=800)
NARROW = ViewportSize(width=360, height=740)
PATIENCE = 15_000
"""Milliseconds that a condition on the page may take to come true, on a machine that is busy with other tests."""

AXE = (ROOT / "hub-ui" / "node_modules" / "axe-core" / "axe.min.js").read_text()
LEVELS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
_AXE_RUN = f"axe.run(document, {{runOnly: {LEVELS}, resultTypes: ['violations']}})"

CHROMIUM_ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


def chromium() -> str:
    """Debian's."""
    path = shutil.which("chromium")
    if path is None:
        pytest.fail("chromium is missing; scripts/setup test installs it")
    return path


def photograph(page: Page, name: str) -> None:
    """Keeps a picture, and finds nothing wrong with what it shows."""
    page.screenshot(path=SCREENSHOTS / f"{name}.png", full_page=True)
    page.evaluate(f"window.axe ?? (() => {{ {AXE} }})()")
    _nothing_wrong(page.evaluate(_AXE_RUN))


async def photographed(page: AsyncPage, name: str) -> None:
    """As `photograph`, of a page that an asyncio test has opened, light, dark, wide and narrow; and nothing on it
    scrolls sideways."""
    for theme in THEMES:
        await page.emulate_media(color_scheme=theme)
        for size in (WIDE, NARROW):
            await page.set_viewport_size(size)
            await page.screenshot(path=SCREENSHOTS / f"{name}-{theme}-{size['width']}.png", full_page=True)
            await page.evaluate(f"window.axe ?? (() => {{ {AXE} }})()")
            _nothing_wrong(await page.evaluate(_AXE_RUN))
            assert await page.evaluate("document.documentElement.scrollWidth") <= size["width"]
    await page.emulate_media(color_scheme="light")
    await page.set_viewport_size(WIDE)


def _nothing_wrong(found: dict[str, Any]) -> None:
    assert [
        f"{violation['id']}: {node['html'][:160]} {node['failureSummary'][:300]}"
        for violation in found["violations"]
        for node in violation["nodes"]
    ] == []


def sign_in(page: Page, password: str) -> None:
    page.get_by_label("User name").fill("admin")
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Sign in").click()


def link_status(page: Page) -> Locator:
    return page.get_by_role("status", name="Link to the hub")


def linked(page: Page) -> None:
    """Waits until what happens elsewhere reaches the page."""
    expect(link_status(page)).to_have_text("Live")


def row(page: Page, text: str) -> Locator:
    return page.get_by_role("row").filter(has_text=text)
