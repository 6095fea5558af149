"""The fleet as a table, as a map and as a list of things to do: what people choose, keep and change there."""

import re
from collections.abc import Callable

import fleet
from playwright.sync_api import Page, expect
from recorded_hub import RecordedHub
from screen import linked, photograph, row

from flip_hub.auth.permissions import Role
from flip_hub.devices.schemas import DeviceStatus

Visit = Callable[..., Page]


def test_many_devices_are_tagged_at_once(hub: RecordedHub, visit: Visit) -> None:
    hub.fill()
    page = visit("/devices")
    linked(page)
    for name in ("clinic-aarhus-02", "clinic-aarhus-03"):
        page.get_by_role("checkbox", name=f"Select {name}").check()
    expect(page.get_by_text("2 selected")).to_be_visible()
    photograph(page, "devices-selected")
    page.get_by_role("button", name="Add tag").click()
    dialog = page.get_by_role("alertdialog", name="Tag 2 devices")
    dialog.get_by_label("Tag").fill("clinics")
    photograph(page, "devices-tag")
    dialog.get_by_role("button", name="Tag 2 devices").click()
    expect(dialog.get_by_text("2 of 2 done")).to_be_visible()
    dialog.get_by_role("button", name="Close").click()
    assert {device.name for device in hub.fleet.known.values() if "clinics" in device.tags} == {
        "clinic-aarhus-02",
        "clinic-aarhus-03",
    }
    page.get_by_role("combobox", name="Tag").select_option("clinics")
    page.wait_for_url("**/devices?tag=clinics")
    expect(page.get_by_role("row")).to_have_count(3)


def test_revoking_many_asks_for_their_number_and_says_what_was_refused(hub: RecordedHub, visit: Visit) -> None:
    hub.fill()
    page = visit("/devices?q=clinic")
    page.get_by_role("checkbox", name="Select clinic-aarhus-02").check()
    page.get_by_role("button", name="Select all 2").click()
    page.get_by_role("button", name="Revoke", exact=True).click()
    dialog = page.get_by_role("alertdialog", name="Revoke 2 devices")
    expect(dialog.get_by_role("button", name="Revoke 2 devices")).to_be_disabled()
    dialog.get_by_label("Type 2").fill("2")
    del hub.fleet.known[fleet.device_id(1)]
    dialog.get_by_role("button", name="Revoke 2 devices").click()
    expect(dialog.get_by_text("1 of 2 done")).to_be_visible()
    expect(dialog).to_contain_text("There is no device")
    expect(dialog).to_contain_text("clinic-aarhus-03")
    assert hub.fleet.known[fleet.device_id(0)].status is DeviceStatus.REVOKED


def test_a_map_leads_to_its_devices_by_pointer_and_by_keyboard(hub: RecordedHub, visit: Visit) -> None:
    hub.fill()
    page = visit("/devices?view=map&status=ok")
    chart = page.get_by_role("application")
    expect(chart).to_have_accessible_name(re.compile("^3 devices: 3 Healthy"))
    expect(page.get_by_role("button", name="Views")).to_be_visible()
    chart.hover(position={"x": 10, "y": 10})
    expect(page.get_by_text("clinic-aarhus-02")).to_be_visible()
    chart.focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    expect(page.get_by_text("ferry-bridge").or_(page.get_by_text("clinic-aarhus-03")).first).to_be_visible()
    page.keyboard.press("Enter")
    page.wait_for_url("**/devices/dev-*")


def test_a_view_is_kept_under_a_name(hub: RecordedHub, visit: Visit) -> None:
    hub.fill()
    page = visit("/devices?site=aarhus")
    expect(page.get_by_role("row")).to_have_count(3)
    page.get_by_role("button", name="Views").click()
    page.get_by_label("Name of this view").fill("the clinics")
    page.get_by_role("button", name="Save").click()
    page.goto("/devices")
    expect(page.get_by_role("row")).to_have_count(7)
    page.get_by_role("button", name="Views").click()
    photograph(page, "devices-views")
    page.get_by_role("button", name="the clinics", exact=True).click()
    page.wait_for_url("**/devices?site=aarhus")
    expect(page.get_by_role("row")).to_have_count(3)


def test_a_keyboard_goes_everywhere(hub: RecordedHub, visit: Visit) -> None:
    hub.fill()
    page = visit("/")
    linked(page)
    page.keyboard.press("g")
    page.keyboard.press("d")
    expect(page.get_by_role("heading", level=1)).to_have_text("Devices")
    page.keyboard.press("/")
    expect(page.get_by_label("Find a device")).to_be_focused()
    page.keyboard.type("ferry")
    expect(page.get_by_role("row")).to_have_count(2)
    page.keyboard.press("Control+k")
    palette = page.get_by_role("combobox", name="Go to or do anything")
    expect(palette).to_be_focused()
    page.keyboard.type("press-line")
    expect(page.get_by_role("option", name=re.compile("press-line-3"))).to_be_visible()
    photograph(page, "palette")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("press-line-3")
    page.keyboard.press("?")
    expect(page.get_by_role("dialog", name="Keyboard shortcuts")).to_be_visible()
    photograph(page, "shortcuts")


def test_what_changed_since_the_last_visit_is_told(hub: RecordedHub, visit: Visit) -> None:
    hub.fill()
    page = visit("/")
    expect(page.get_by_text("This is your first visit")).to_be_visible()
    long_ago = f'{{"began": 1, "last": {fleet.NOW - 4 * fleet.HOUR}, "before": null}}'
    page.evaluate(f"localStorage.setItem('flip.visited', JSON.stringify({long_ago}))")
    page.reload()
    changes = page.get_by_role("region").or_(page.locator("section")).filter(has_text="Since your last visit").last
    expect(changes).to_contain_text("Device has little disk: press-line-3")
    expect(changes).to_contain_text("Over: Device has a backlog: clinic-aarhus-02")
    expect(changes).to_contain_text("orchard-gateway-with-a-long-name-07 fell silent")
    photograph(page, "overview-changes")


def test_a_device_does_what_is_asked_of_it_and_shows_how_far_that_is(hub: RecordedHub, visit: Visit) -> None:
    hub.fill()
    page = visit(f"/devices/{fleet.AILING}")
    linked(page)
    page.get_by_role("button", name="Run doctor").click()
    page.get_by_role("alertdialog").get_by_role("button", name="Run doctor").click()
    asked = page.get_by_role("table", name="What it was asked to do").get_by_role("row").nth(1)
    expect(asked).to_contain_text("Run doctor")
    expect(asked).to_contain_text("Queued")
    page.get_by_role("button", name="Roll digits back on this device").click()
    page.get_by_role("alertdialog").get_by_role("button", name="Roll digits back").click()
    expect(asked).to_contain_text("Roll back digits")
    page.get_by_role("button", name="Follow logs").click()
    expect(page.get_by_text("It follows as soon as the device hears of it")).to_be_visible()
    assert [asked.kind for _, asked in hub.fleet.asked] == ["doctor", "rollback", "follow-logs"]
    differs = page.get_by_role("table", name="What is wanted of the device").get_by_role("row").nth(1)
    expect(differs).to_contain_text("Model digits")
    page.get_by_role("button", name="A week").click()
    expect(page.get_by_role("img", name=re.compile("^Temperature over time"))).to_be_visible()


def test_a_viewer_can_do_nothing_with_devices(hub: RecordedHub, visit: Visit) -> None:
    hub.fill()
    hub.role = Role.VIEWER
    page = visit("/devices")
    expect(row(page, "press-line-3")).to_be_visible()
    expect(page.get_by_role("checkbox")).to_have_count(0)
    page.goto(f"/devices/{fleet.AILING}")
    expect(page.get_by_text("What it was asked to do")).to_be_visible()
    expect(
        page.get_by_role("main").get_by_role("button", name=re.compile("Revoke|Restart|Roll|Follow|Edit"))
    ).to_have_count(0)


def test_the_console_speaks_german_too(hub: RecordedHub, visit: Visit) -> None:
    hub.fill()
    page = visit("/devices")
    linked(page)
    page.get_by_role("button", name="Change the language: English").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Geräte")
    assert page.evaluate("document.documentElement.lang") == "de"
    expect(row(page, "orchard-gateway")).to_contain_text("Unbekannt seit")
    photograph(page, "devices-german")
    page.goto("/")
    expect(page.get_by_text("Alles ist in Ordnung.").or_(page.get_by_text("Offene Alarme")).first).to_be_visible()
    page.goto(f"/devices/{fleet.AILING}")
    expect(page.get_by_role("heading", name="Live-Logs")).to_be_visible()
    page.goto("/alerts")
    expect(page.get_by_role("heading", level=1)).to_have_text("Alarme")
    page.get_by_role("button", name="Sprache ändern: Deutsch").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Alerts")
