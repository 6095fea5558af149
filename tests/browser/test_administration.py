"""Accounts, tokens, the audit, the hub's settings and its parts: over the real API."""

from collections.abc import AsyncGenerator
from pathlib import Path

import pytest
import pytest_asyncio
from console_hub import PASSWORD, ConsoleHub, console_hub
from playwright.async_api import Page, expect
from screen import photographed

pytestmark = pytest.mark.asyncio

NEW = "a long enough password"


@pytest_asyncio.fixture
async def hub(folder: Path, mongo_url: str) -> AsyncGenerator[ConsoleHub]:
    async with console_hub(folder, mongo_url) as hub:
        yield hub


async def test_somebody_gets_an_account_a_role_and_loses_them(hub: ConsoleHub) -> None:
    page = hub.page
    await page.goto("/users")
    await page.get_by_role("button", name="Add a user").click()
    dialog = page.get_by_role("dialog", name="Add a user")
    await dialog.get_by_label("User name").fill("grace")
    await dialog.get_by_label("Role").select_option("operator")
    await dialog.get_by_label("Password").fill(NEW)
    await dialog.get_by_role("button", name="Add a user").click()
    row = page.get_by_role("row").filter(has_text="grace")
    await expect(row).to_contain_text("Operator")
    await photographed(page, "users")
    await page.get_by_role("button", name="Role of grace").click()
    await page.get_by_role("dialog").get_by_label("Role").select_option("viewer")
    await page.get_by_role("dialog").get_by_role("button", name="Change").click()
    await expect(row).to_contain_text("Viewer")
    await page.get_by_role("button", name="Disable grace").click()
    await page.get_by_role("alertdialog").get_by_role("button", name="Disable grace").click()
    await expect(row).to_contain_text("Disabled")
    await page.get_by_role("button", name="Remove grace").click()
    await page.get_by_role("alertdialog").get_by_role("button", name="Remove grace").click()
    await expect(row).to_have_count(0)
    await expect(page.get_by_role("row").filter(has_text="devices:operate").get_by_role("img")).to_have_count(3)


async def test_the_last_admin_stays_one_and_is_told_why(hub: ConsoleHub) -> None:
    page = hub.page
    await page.goto("/users")
    await page.get_by_role("button", name="Disable admin").click()
    await page.get_by_role("alertdialog").get_by_role("button", name="Disable admin").click()
    await expect(page.get_by_role("row").filter(has_text="Disabled")).to_have_count(1)
    await page.get_by_role("button", name="Role of ada").click()
    dialog = page.get_by_role("dialog")
    await dialog.get_by_label("Role").select_option("viewer")
    await dialog.get_by_role("button", name="Change").click()
    refused = dialog.get_by_role("alert")
    await expect(refused).to_contain_text("make somebody else an admin first")
    await expect(refused).to_contain_text("Trace")


async def test_a_program_gets_a_token_and_the_account_its_new_password(hub: ConsoleHub) -> None:
    page = hub.page
    await page.get_by_role("link", name="ada").click()
    await page.get_by_role("button", name="Make a token").click()
    dialog = page.get_by_role("dialog", name="Make a token")
    await dialog.get_by_label("What it is for").fill("the nightly report")
    await dialog.get_by_label("See devices").check()
    await dialog.get_by_role("button", name="Make a token").click()
    shown = page.get_by_role("status").filter(has_text="shown only now")
    token = (await shown.locator("code").inner_text()).strip()
    read = await hub.core.http.get("/api/v1/devices", headers={"Authorization": f"Bearer {token}"})
    assert read.status_code == 200
    assert (await hub.core.http.get("/api/v1/runs", headers={"Authorization": f"Bearer {token}"})).status_code == 403
    await photographed(page, "account")
    await page.get_by_role("button", name="Revoke the nightly report").click()
    await page.get_by_role("alertdialog").get_by_role("button", name="Revoke the nightly report").click()
    await expect(page.get_by_text("There is none.")).to_be_visible()
    await page.get_by_label("Password until now").fill(PASSWORD)
    await page.get_by_label("Password, at least 12 characters").fill(NEW)
    await page.get_by_role("button", name="Change the password").click()
    await expect(page.get_by_text("It is changed.")).to_be_visible()
    await page.reload()
    await expect(page.get_by_role("heading", level=1)).to_contain_text("Your account")


async def test_the_audit_shows_what_was_changed_and_that_its_chain_is_whole(hub: ConsoleHub) -> None:
    page = hub.page
    device = await hub.core.enrol("press-line-3")
    await page.goto(f"/devices/{device.id}")
    await page.get_by_role("button", name="Edit labels").click()
    dialog = page.get_by_role("dialog")
    await dialog.get_by_label("Site").fill("hall 2")
    await dialog.get_by_label("Tags").fill("gpu, lab")
    await dialog.get_by_role("button", name="Save").click()
    await expect(page.get_by_text("hall 2")).to_be_visible()
    await hub.core.core.audit.note("POST /api/v1/apps", actor="ada", subject="4e7cc872" * 8)
    await page.goto("/audit")
    entry = page.get_by_role("row").filter(has_text="PATCH /api/v1/devices/{device}")
    await expect(entry).to_contain_text("ada")
    await expect(entry).to_contain_text("gpu, lab")
    await page.get_by_role("button", name="Verify the chain").click()
    await expect(page.get_by_text("entries are as the hub wrote them")).to_be_visible()
    await photographed(page, "audit")
    await page.get_by_role("button", name="Refused", exact=True).click()
    await page.wait_for_url("**/audit?outcome=refused")
    await expect(entry).to_have_count(0)


async def test_settings_say_where_they_come_from_and_the_system_how_it_is(hub: ConsoleHub) -> None:
    page = hub.page
    await page.goto("/settings")
    port = page.get_by_role("table", name="hub", exact=True).get_by_role("row").filter(has_text="/etc/flip/hub.toml")
    await expect(port).to_contain_text(str(hub.core.settings.hub.port))
    await photographed(page, "settings")
    await page.get_by_role("button", name="Set by somebody").click()
    await expect(page.get_by_role("table")).to_have_count(2)
    await page.goto("/system")
    await expect(page.get_by_role("row").filter(has_text="the registry")).to_contain_text("MongoDB")
    await expect(page.get_by_role("term").filter(has_text="flwr")).to_be_visible()
    await photographed(page, "system")


async def test_a_viewer_sees_no_button_that_would_be_refused(hub: ConsoleHub) -> None:
    device = await hub.core.enrol("press-line-3")
    await hub.add_version("tiny", 1)
    await hub.add_version("tiny", 2)
    made = {"username": "vic", "role": "viewer", "password": NEW}
    assert (await hub.core.post("/api/v1/users", made, hub.core.as_user())).status_code == 201
    page = hub.page
    await page.get_by_role("button", name="Sign out").click()
    await _sign_in(page, "vic", NEW)
    await expect(page.get_by_role("heading", level=1)).to_be_visible()
    await expect(page.get_by_role("navigation").get_by_role("link")).to_have_text(
        ["Overview", "Devices", "Runs", "Models", "Alerts", "System"]
    )
    for path, there in {
        "/": "Fleet",
        "/devices": "press-line-3",
        f"/devices/{device.id}": "Nothing was asked of it yet.",
        "/runs": "No runs yet",
        "/models/tiny": "Deployable",
    }.items():
        await page.goto(path)
        await expect(page.get_by_text(there).first).to_be_visible()
        main = page.get_by_role("main")
        for name in ("Enrol", "Revoke", "Restart", "Start a run", "Promote", "Roll", "Upload", "Select", "Edit"):
            await expect(main.get_by_role("button", name=name)).to_have_count(0)
            await expect(main.get_by_role("link", name=name)).to_have_count(0)
    await page.goto("/audit")
    await expect(page.get_by_role("alert")).to_be_visible()


async def _sign_in(page: Page, name: str, password: str) -> None:
    await page.get_by_label("User name").fill(name)
    await page.get_by_label("Password").fill(password)
    await page.get_by_role("button", name="Sign in").click()
