"""Every page is readable by everybody: no accessibility violation and no sideways scrolling, light, dark and narrow."""

from collections.abc import Callable

import fleet
import pytest
import recorded_rollouts
from playwright.sync_api import Page, expect
from recorded_hub import RecordedHub
from screen import NARROW, SIDEWAYS, WIDE, photograph

FILLED = {
    "overview": ("/", "Device has little disk"),
    "devices": ("/devices", "orchard-gateway"),
    "devices-map": ("/devices?view=map", "6 enrolled"),
    "alerts": ("/alerts", "the hall is rewired"),
    "alerts-all": ("/alerts?status=all", "Device has a backlog"),
    "device": (f"/devices/{fleet.AILING}", "outbox file unreadable"),
    "device-new": (f"/devices/{fleet.device_id(4)}", "no news yet"),
    "runs": ("/runs", fleet.FAILED),
    "run": (f"/runs/{fleet.RUNNING}", "Dropped to make room"),
    "run-failed": (f"/runs/{fleet.FAILED}", "Why it failed"),
    "models": ("/models", "version 4"),
    "model": (f"/models/{fleet.MODEL}", "Weights only"),
    "rollout": (f"/rollouts/{recorded_rollouts.UNDER_WAY}", "Went back"),
    "rollout-failed": (f"/rollouts/{recorded_rollouts.TAKEN_BACK}", "Why it was rolled back"),
    "missing": ("/runs/run-000000000000", "There is no run"),
    "no-page": ("/no/such/page", "The address may be mistyped"),
}
EMPTY = {
    "login": ("/login", "Sign in"),
    "overview-empty": ("/", "No devices yet"),
    "alerts-empty": ("/alerts", "Nothing is wrong"),
    "devices-empty": ("/devices", "No devices yet"),
    "runs-empty": ("/runs", "No runs yet"),
    "models-empty": ("/models", "No models yet"),
}
"""Page: its path, and a text that is there once it is complete."""

Visit = Callable[..., Page]


@pytest.mark.parametrize("name", FILLED)
def test_a_page_with_content_can_be_read_by_everybody(hub: RecordedHub, visit: Visit, name: str) -> None:
    hub.fill()
    path, text = FILLED[name]
    look_at(visit(path), text, name)


@pytest.mark.parametrize("name", EMPTY)
def test_a_page_without_content_can_be_read_by_everybody(visit: Visit, name: str) -> None:
    path, text = EMPTY[name]
    look_at(visit(path, signed_in=name != "login"), text, name)


def look_at(page: Page, text: str, name: str) -> None:
    page.get_by_text(text).first.wait_for()
    page.wait_for_function("() => !document.querySelector('.bg-raised.animate-pulse-soft')")
    page.wait_for_function("() => !document.querySelector('[role=img]') || document.querySelector('canvas')")
    for theme in ("light", "dark"):
        page.emulate_media(color_scheme=theme)
        for size in (WIDE, NARROW):
            page.set_viewport_size(size)
            photograph(page, f"{name}-{theme}-{size['width']}")
            assert page.evaluate(SIDEWAYS) == []


def test_no_page_scrolls_sideways_on_the_narrowest_screen_with_longer_words(hub: RecordedHub, visit: Visit) -> None:
    """320 px: a wide screen at 400 %, which the WCAG want to be usable (1.4.10)."""
    hub.fill()
    page = visit("/", size={"width": 320, "height": 640})
    page.evaluate("localStorage.setItem('flip.language', 'de')")
    wider: list[str] = []
    for path, _ in FILLED.values():
        page.goto(path)
        page.locator("h1").first.wait_for()
        page.wait_for_function("() => !document.querySelector('.bg-raised.animate-pulse-soft')")
        if page.evaluate("document.documentElement.scrollWidth") > 320:
            wider.append(path)
    assert wider == []
    page.get_by_role("button", name="Menü öffnen").click()
    page.get_by_role("link", name="Konto").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Ihr Konto")
