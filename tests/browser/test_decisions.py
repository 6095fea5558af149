"""What people decide on the console, over the real API: alerts, runs, enrolment, uploads."""

import json
import re
import time
from collections.abc import AsyncGenerator
from pathlib import Path

import numpy as np
import pytest
import pytest_asyncio
from console_hub import ConsoleHub, console_hub
from playwright.async_api import expect
from safetensors.numpy import save_file
from screen import photographed

from core_hub import new_device
from flip_hub.alerts.board import Changes
from flip_hub.alerts.schemas import Alert
from flip_hub.alerts.store import AlertStore
from flip_hub.api.pages import Wanted
from flip_wire.health import Severity

pytestmark = pytest.mark.asyncio


@pytest_asyncio.fixture
async def hub(folder: Path, mongo_url: str) -> AsyncGenerator[ConsoleHub]:
    async with console_hub(folder, mongo_url) as hub:
        yield hub


async def test_an_alert_is_looked_after_silenced_and_told_again(hub: ConsoleHub) -> None:
    page, device = hub.page, await hub.core.enrol("press-line-3")
    alert = Alert(
        id="alert-1",
        rule="device-disk",
        title="Device has little disk",
        severity=Severity.CRITICAL,
        text="31 MiB free",
        subject=device.id,
        name="press-line-3",
        device_id=device.id,
        tags=["lab"],
        opened_at=time.time(),
        updated_at=time.time(),
    )
    await AlertStore(hub.core.mongo.database).take(Changes([alert], [], []))
    await page.goto("/alerts")
    await page.get_by_role("button", name="Look after Device has little disk: press-line-3").click()
    await page.get_by_role("alertdialog").get_by_role("button", name="Look after it").click()
    await expect(page.get_by_role("row").filter(has_text="31 MiB free")).to_contain_text("ada looks after it")
    await page.get_by_role("button", name="Silence Device has little disk: press-line-3").click()
    dialog = page.get_by_role("dialog")
    await dialog.get_by_label("What").select_option("device")
    await dialog.get_by_label("Why").fill("a disk is on its way")
    await dialog.get_by_role("button", name="Silence").click()
    silenced = page.get_by_role("table", name="Silences").get_by_role("row").nth(1)
    await expect(silenced).to_contain_text("press-line-3")
    await photographed(page, "alerts-silenced")
    await page.get_by_role("button", name="End the silence a disk is on its way").click()
    await page.get_by_role("alertdialog").get_by_role("button", name="End").click()
    await expect(page.get_by_role("table", name="Silences")).to_have_count(0)


async def test_a_device_that_enrols_turns_the_page_green(hub: ConsoleHub) -> None:
    page = hub.page
    await page.goto("/enrol")
    await page.get_by_label("Site").fill("hall-2")
    await page.get_by_role("button", name="Make the token").click()
    await expect(page.get_by_text("Waiting for the device")).to_be_visible()
    await expect(page.get_by_text("shown only now")).to_be_visible()
    command = await page.get_by_role("tabpanel").locator("code").inner_text()
    assert command.startswith("sudo apt install flip-agent && sudo flip-agent enrol http://127.0.0.1:")
    await photographed(page, "enrol")
    (token,) = re.findall(r"--token (\S+)", command)
    answer = await hub.core.try_enrol(new_device(), token, "press-line-9")
    assert answer.status_code == 201, answer.text
    await expect(page.get_by_text("The device is enrolled")).to_be_visible()
    await expect(page.get_by_role("listitem").filter(has_text="press-line-9")).to_be_visible()
    await expect(page.get_by_role("row").filter(has_text="hall-2")).to_contain_text("Used up")
    await photographed(page, "enrolled")


async def test_a_run_is_paused_resumed_and_compared_with_another(hub: ConsoleHub) -> None:
    page = hub.page
    await hub.core.enrol("press-line-3")
    await hub.add_app()
    await page.goto("/runs/new")
    await page.locator("summary").filter(has_text=re.compile("^Devices")).click()
    await expect(page.get_by_text("One device would train now")).to_be_visible()
    await page.get_by_label("Tags").fill("nobody has this")
    await expect(page.get_by_text("0 devices would train now")).to_be_visible()
    await page.get_by_text("Which, and why").click()
    await expect(page.get_by_text("it has none of the tags nobody has this")).to_be_visible()
    await photographed(page, "start-run-eligible")
    await page.get_by_label("Tags").fill("")
    await page.get_by_role("button", name="Start", exact=True).click()
    await expect(page.get_by_role("button", name=re.compile("^Pause run"))).to_be_visible()
    await page.get_by_role("button", name=re.compile("^Pause run")).click()
    await page.get_by_role("alertdialog").get_by_role("button", name=re.compile("^Pause run")).click()
    await page.get_by_role("button", name=re.compile("^Resume run")).click()
    await page.get_by_role("alertdialog").get_by_role("button", name=re.compile("^Resume run")).click()
    await expect(page.get_by_role("button", name=re.compile("^Pause run"))).to_be_visible()
    await page.get_by_role("link", name="Compare").click()
    await expect(page.get_by_role("checkbox", checked=True)).to_have_count(1)
    await expect(page.get_by_role("table", name="Side by side").get_by_role("row")).to_have_count(2)
    await photographed(page, "compare")


async def test_a_version_that_was_made_elsewhere_is_brought_to_the_hub(hub: ConsoleHub, folder: Path) -> None:
    page = hub.page
    weights, description, broken = folder / "w.safetensors", folder / "about.json", folder / "broken.json"
    save_file({"w": np.zeros(9 * 2**20, dtype=np.uint8)}, weights)
    description.write_text(json.dumps({"metrics": {"accuracy": 0.91}, "labels": ["no", "yes"]}))
    broken.write_text("{")
    await page.goto("/models")
    await page.get_by_role("button", name="Upload a version").click()
    dialog = page.get_by_role("dialog", name="Upload a version")
    await dialog.get_by_label("Model").fill("made-elsewhere")
    await dialog.get_by_label("Weights (safetensors)").set_input_files(weights)
    await dialog.get_by_label("Description (JSON)").set_input_files(broken)
    await dialog.get_by_role("button", name="Upload", exact=True).click()
    await expect(dialog.get_by_role("alert")).to_contain_text("broken.json is no JSON")
    await dialog.get_by_label("Description (JSON)").set_input_files(description)
    await dialog.get_by_role("button", name="Upload", exact=True).click()
    await expect(page.get_by_role("heading", level=1)).to_have_text("made-elsewhere 1")
    await expect(page.get_by_role("list", name="Where it comes from")).to_contain_text("It was uploaded")
    [made] = (await hub.parts.models.versions("made-elsewhere", Wanted(), None)).items
    assert made.manifest.weights.size == weights.stat().st_size
    assert made.manifest.metrics == {"accuracy": 0.91}
    await page.goto("/models/made-elsewhere")
    await photographed(page, "model-uploaded")
