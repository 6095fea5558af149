"""The console from its first page on, in a browser, over a whole hub with real agents."""

import asyncio
import re
from pathlib import Path

import numpy as np
import pytest
from playwright.async_api import Page, async_playwright, expect

from bench.browser import CHROMIUM_ARGUMENTS, ROOT, chromium
from browser.screen import PATIENCE, WIDE
from federation import appears
from flip_demo import digits
from flip_demo.federation import Federation
from flip_demo.layout import Layout, Ports
from flip_demo.processes import run_to_end
from flip_hub.auth.setup_code import SETUP_CODE
from flip_hub.federation.fab import build_fab
from flip_runtime.supervisor import supervise

DEVICES = ("north", "east")
APP = ROOT / "examples" / "digits"
PASSWORD = "correct horse battery"
_Agent = asyncio.Task[None]
SLOW = 240_000
"""Milliseconds: devices import torch on a busy machine."""


@pytest.mark.asyncio
async def test_a_federation_is_set_up_used_and_mended_by_the_console_alone(folder: Path) -> None:
    layout = Layout(folder)
    for name, part in zip(DEVICES, digits.split(1, len(DEVICES)).devices, strict=True):
        np.savez(layout.device_data(name), x=part.x, y=part.y)
    federation = Federation(layout, Ports.free(devices=2), DEVICES, admin=None)
    async with federation.running(lambda _: None), async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=chromium(), args=CHROMIUM_ARGUMENTS)
        page = await browser.new_page(base_url=federation.url, viewport=WIDE, reduced_motion="reduce", locale="en-GB")
        page.set_default_timeout(PATIENCE)
        expect.set_options(timeout=PATIENCE)
        await _set_up(page, federation)
        agents: list[_Agent] = []
        async with asyncio.TaskGroup() as group:
            try:
                await _enrol(page, federation, group, agents)
                await _train(page, folder)
                await _try_and_roll_back(page)
                await _follow_logs(page)
                await _lose_the_link(page, federation)
                await _revoke(page)
                await _look_as_a_viewer(page)
            finally:
                for task in agents:
                    task.cancel()
        await browser.close()


async def _set_up(page: Page, federation: Federation) -> None:
    await page.goto("/")
    await page.get_by_label("Set-up code").fill((federation.layout.hub / SETUP_CODE).read_text().strip())
    await page.get_by_label("User name").fill("ada")
    await page.get_by_label("Password").fill(PASSWORD)
    await page.get_by_role("button", name="Make the first account").click()
    await expect(page.get_by_text("No devices yet")).to_be_visible()


async def _enrol(
    page: Page, federation: Federation, group: asyncio.TaskGroup, agents: list[asyncio.Task[None]]
) -> None:
    """With the very command that the page shows, on each of two devices; the page turns green by itself."""
    await page.get_by_role("link", name="Enrol devices").click()
    await page.get_by_label("How many devices").fill("2")
    await page.get_by_label("Tags").fill("lab")
    await page.get_by_role("button", name="Make the token").click()
    await page.get_by_role("tab", name="Installed already").click()
    command = await page.get_by_role("tabpanel", name="Installed already").locator("code").inner_text()
    await expect(page.get_by_text("Waiting for the device")).to_be_visible()
    for name in DEVICES:
        program, *arguments = command.split()
        assert program == "flip-agent"
        await run_to_end(f"enrol-{name}", federation.agent(name, *arguments, "--name", name), federation.layout.root)
    await expect(page.get_by_text("All 2 devices are enrolled")).to_be_visible()
    for name in DEVICES:
        agents.append(group.create_task(supervise([federation.devices[name].service()])))
    await expect(page.get_by_role("listitem").filter(has_text="Healthy")).to_have_count(2, timeout=SLOW)


async def _train(page: Page, folder: Path) -> None:
    """An app is uploaded and started; its rounds come in until it has ended."""
    fab = folder / "digits.fab"
    fab.write_bytes(build_fab(APP))
    await page.goto("/runs/new")
    await page.get_by_role("button", name="Upload an app").click()
    dialog = page.get_by_role("dialog", name="Upload an app")
    await dialog.get_by_label("App (.fab)").set_input_files(fab)
    await dialog.get_by_role("button", name="Upload an app").click()
    await page.locator("summary").filter(has_text="The app's configuration").click()
    await page.get_by_label("num-server-rounds").fill("2")
    await page.get_by_label("min-devices").fill("2")
    await page.locator("summary").filter(has_text=re.compile("^Devices")).click()
    await expect(page.get_by_text("2 devices would train now")).to_be_visible()
    await page.get_by_role("button", name="Start", exact=True).click()
    await expect(page.get_by_role("heading", level=1)).to_contain_text("digits")
    await expect(page.get_by_text("Finished", exact=True).first).to_be_visible(timeout=SLOW)
    rounds = page.get_by_role("table", name=re.compile("round", re.IGNORECASE)).first
    await expect(rounds.get_by_role("row")).to_have_count(3)
    await expect(rounds).to_contain_text("2 of 2")
    await page.get_by_role("button", name="Show the log").click()
    await expect(page.get_by_role("log")).to_contain_text("ROUND 2")
    await expect(page.get_by_text("To its end")).to_be_visible()


async def _try_and_roll_back(page: Page) -> None:
    """What the run made is served, asked, and taken back on one device and on all."""
    await page.get_by_role("link", name="Models").click()
    await page.get_by_role("link", name="digits").click()
    await expect(page.get_by_role("heading", level=1)).to_have_text("digits")
    served = page.get_by_role("row").filter(has_text="Promoted")
    await expect(served).to_be_visible()
    version = int(re.sub(r"\D", "", await served.get_by_role("link").first.inner_text()))
    await served.get_by_role("link").first.click()
    await expect(page.get_by_role("list", name="Where it comes from")).to_contain_text(
        "2 devices serve it", timeout=SLOW
    )
    await page.get_by_role("button", name="Try it").click()
    dialog = page.get_by_role("dialog")
    await dialog.get_by_role("button", name="Numbers").click()
    await dialog.get_by_role("button", name="Ask").click()
    await expect(dialog.get_by_text("It answers")).to_be_visible(timeout=SLOW)
    await expect(dialog.get_by_role("table").get_by_role("row")).to_have_count(10)
    await dialog.get_by_role("button", name="Close").click()
    other = 1 if version == 2 else 2
    await page.goto("/models/digits")
    action = f"{'Roll back to' if other < version else 'Promote'} digits {other}"
    await page.get_by_role("button", name=action).click()
    await page.get_by_role("alertdialog").get_by_role("button", name=action).click()
    await page.goto("/devices")
    for name in DEVICES:
        row = page.get_by_role("row").filter(has_text=name)
        await expect(row).to_contain_text(f"digits@{other}", timeout=SLOW)
        await expect(row).not_to_contain_text("wanted")


async def _follow_logs(page: Page) -> None:
    """What the device writes comes to the page, and what it contributed stands there."""
    await page.get_by_role("link", name="north").click()
    await page.get_by_role("button", name="Follow logs").click()
    await expect(page.get_by_role("log", name="Live logs")).to_contain_text("action begins", timeout=SLOW)
    given = page.get_by_role("table", name="What it was asked in runs")
    await expect(given.get_by_role("row").filter(has_text="digits").first).to_contain_text("counted")
    await page.get_by_role("link", name="Devices", exact=True).click()


async def _lose_the_link(page: Page, federation: Federation) -> None:
    """The network goes and comes back, the hub is killed and comes back: nothing is asked of the person."""
    status = page.get_by_role("status", name="Link to the hub")
    await expect(status).to_have_text("Live")
    await page.context.set_offline(True)
    await expect(status).to_have_text("Reconnecting")
    await page.context.set_offline(False)
    await expect(status).to_have_text("Live", timeout=SLOW)
    (await appears(lambda: federation.hub.child.pid, "serve")).kill()
    await expect(status).to_have_text("Reconnecting", timeout=SLOW)
    await expect(status).to_have_text("Live", timeout=SLOW)
    await page.reload()
    await expect(page.get_by_role("heading", level=1)).to_have_text("Devices")
    await expect(page.get_by_role("row").filter(has_text="north")).to_contain_text("Healthy", timeout=SLOW)


async def _sign_in(page: Page, name: str) -> None:
    await page.get_by_label("User name").fill(name)
    await page.get_by_label("Password").fill(PASSWORD)
    await page.get_by_role("button", name="Sign in").click()


async def _revoke(page: Page) -> None:
    await page.get_by_role("link", name="east").click()
    await page.get_by_role("button", name="Revoke east").click()
    await page.get_by_role("alertdialog").get_by_role("button", name="Revoke east").click()
    await expect(page.get_by_text("Revoked", exact=True)).to_be_visible()
    await expect(page.get_by_role("button", name="Revoke east")).to_have_count(0)


async def _look_as_a_viewer(page: Page) -> None:
    await page.get_by_role("link", name="Users").click()
    await page.get_by_role("button", name="Add a user").click()
    dialog = page.get_by_role("dialog", name="Add a user")
    await dialog.get_by_label("User name").fill("zoe")
    await dialog.get_by_label("Password").fill(PASSWORD)
    await dialog.get_by_role("button", name="Add a user").click()
    await expect(page.get_by_role("row").filter(has_text="zoe")).to_contain_text("Viewer")
    await page.get_by_role("button", name="Sign out").click()
    await _sign_in(page, "zoe")
    await page.get_by_role("link", name="Devices").click()
    await expect(page.get_by_role("row").filter(has_text="north")).to_be_visible()
    await expect(page.get_by_role("checkbox")).to_have_count(0)
    await expect(page.get_by_role("link", name="Enrol devices")).to_have_count(0)
    await page.get_by_role("link", name="north").click()
    await expect(page.get_by_role("button", name="Revoke")).to_have_count(0)
