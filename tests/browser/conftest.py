"""Debian's chromium and a hub to look at; each test has a hub and a browser profile of its own."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal

import msgspec
import pytest
from playwright.sync_api import Browser, BrowserContext, Page, ViewportSize, sync_playwright
from recorded_hub import PASSWORD, STATIC, RecordedHub

Theme = Literal["light", "dark"]

ROOT = Path(__file__).parents[2]
SCREENSHOTS = ROOT / "hub-ui" / "screenshots"
"""Every page, light and dark, wide and narrow, for people to look at."""

WIDE = ViewportSize(width=1280, height=800)
NARROW = ViewportSize(width=360, height=740)

_QUIET = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"]
PATIENCE = 8_000
"""Milliseconds that a condition on the page may take to come true."""


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.fail("chromium is missing; scripts/setup test installs it")
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(
            executable_path=chromium,
            args=[*_QUIET, "--disable-component-update", "--disable-sync"],
        )
        yield launched
        launched.close()


@pytest.fixture
def hub() -> Iterator[RecordedHub]:
    """Empty; `hub.fill()` gives it a fleet."""
    assert (STATIC / "index.html").is_file(), "the console is not built; packaging/build_console.py builds it"
    with RecordedHub().running() as running:
        yield running


@pytest.fixture
def visit(browser: Browser, hub: RecordedHub) -> Iterator[Callable[..., Page]]:
    """Opens a path in a new profile, signed in unless told otherwise; a script error on the page fails the test."""
    contexts: list[BrowserContext] = []
    errors: list[str] = []

    def open_page(
        path: str = "/", *, signed_in: bool = True, theme: Theme = "light", size: ViewportSize = WIDE
    ) -> Page:
        context = browser.new_context(
            base_url=hub.url, viewport=size, color_scheme=theme, locale="en-GB", reduced_motion="reduce"
        )
        contexts.append(context)
        context.set_default_timeout(PATIENCE)
        page = context.new_page()
        page.on("pageerror", lambda error: errors.append(str(error)))
        if signed_in:
            kept = msgspec.json.encode(hub.session).decode()
            context.add_init_script(
                f"sessionStorage.getItem('seen') || sessionStorage.setItem('flip.session', '{kept}')"
            )
            context.add_init_script("sessionStorage.setItem('seen', 'yes')")
        page.goto(path)
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert errors == []


def sign_in(page: Page, password: str = PASSWORD) -> None:
    page.get_by_label("User name").fill("admin")
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Sign in").click()
