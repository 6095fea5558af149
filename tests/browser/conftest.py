"""One browser per test module; each test has a hub and a browser profile of its own."""

from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, ViewportSize, expect, sync_playwright
from recorded_hub import RecordedHub
from screen import PATIENCE, WIDE

from bench.browser import CHROMIUM_ARGUMENTS, chromium
from flip_hub.auth.cookies import NAME
from flip_hub.console.site import STATIC

expect.set_options(timeout=PATIENCE)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Not for the session: Playwright occupies the thread's event loop, which the asyncio tests after it need."""
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=chromium(), args=CHROMIUM_ARGUMENTS)
        yield launched
        launched.close()


@pytest.fixture
def hub() -> Iterator[RecordedHub]:
    """Empty; `hub.fill()` gives it a fleet."""
    assert (STATIC / "index.html").is_file(), "the console is not built; scripts/setup builds it"
    with RecordedHub().running() as running:
        yield running


@pytest.fixture
def visit(browser: Browser, hub: RecordedHub) -> Iterator[Callable[..., Page]]:
    """Opens a path in a new profile, signed in unless told otherwise; a script error on the page fails the test."""
    contexts: list[BrowserContext] = []
    errors: list[str] = []

    def open_page(path: str = "/", *, signed_in: bool = True, size: ViewportSize = WIDE) -> Page:
        context = browser.new_context(
            base_url=hub.url, viewport=size, color_scheme="light", locale="en-GB", reduced_motion="reduce"
        )
        contexts.append(context)
        context.set_default_timeout(PATIENCE)
        page = context.new_page()
        page.on("pageerror", lambda error: errors.append(str(error)))
        if signed_in:
            context.add_cookies([{"name": NAME, "value": hub.token, "url": f"{hub.url}/api/v1/auth"}])
        page.goto(path)
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert errors == []
