"""The browser, its sizes, and what is asked of every page."""

from typing import Any, Literal

from playwright.async_api import Page as AsyncPage
from playwright.sync_api import Locator, Page, ViewportSize, expect

from bench.browser import AXE_RUN, ROOT, axe_loaded, violations

Theme = Literal["light", "dark"]
THEMES: tuple[Theme, ...] = ("light", "dark")

SCREENSHOTS = ROOT / "hub-ui" / "screenshots"
"""Every page, light and dark, wide and narrow, for people to look at."""

WIDE = ViewportSize(width=1280, height=800)
NARROW = ViewportSize(width=360, height=740)
PATIENCE = 15_000
"""Milliseconds that a condition on the page may take to come true, on a machine that is busy with other tests."""


SIDEWAYS = """() => [document.documentElement, ...document.querySelectorAll("main :has(> table)")]
  .filter((each) => each.scrollWidth > each.clientWidth)
  .map((each) => each.querySelector(":scope > table > caption")?.textContent ?? "page")"""
"""What scrolls sideways: the page, or a table by its caption."""


def photograph(page: Page, name: str) -> None:
    """Keeps a picture, and finds nothing wrong with what it shows."""
    page.locator("h1").first.wait_for()
    page.screenshot(path=SCREENSHOTS / f"{name}.png", full_page=True)
    page.evaluate(axe_loaded())
    _nothing_wrong(page.evaluate(AXE_RUN))


async def photographed(page: AsyncPage, name: str) -> None:
    """As `photograph`, of a page that an asyncio test has opened, light, dark, wide and narrow; and nothing on it
    scrolls sideways."""
    await page.locator("h1").first.wait_for()
    for theme in THEMES:
        await page.emulate_media(color_scheme=theme)
        for size in (WIDE, NARROW):
            await page.set_viewport_size(size)
            await page.screenshot(path=SCREENSHOTS / f"{name}-{theme}-{size['width']}.png", full_page=True)
            await page.evaluate(axe_loaded())
            _nothing_wrong(await page.evaluate(AXE_RUN))
            assert await page.evaluate(SIDEWAYS) == []
    await page.emulate_media(color_scheme="light")
    await page.set_viewport_size(WIDE)


def _nothing_wrong(found: dict[str, Any]) -> None:
    assert violations(found) == []


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
