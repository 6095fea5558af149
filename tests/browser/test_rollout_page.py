"""A rollout as the console shows it, and what people may decide about it there."""

import re
from collections.abc import Callable

import pytest
from msgspec.structs import replace
from playwright.sync_api import Page, expect
from recorded_hub import RecordedHub
from recorded_rollouts import TAKEN_BACK, UNDER_WAY, rollouts
from screen import linked, row

from flip_hub.auth.permissions import Role
from flip_hub.live import RolloutChanged
from flip_hub.rollouts.schemas import RolloutStatus

Visit = Callable[..., Page]


@pytest.fixture
def filled(hub: RecordedHub) -> RecordedHub:
    hub.fill()
    return hub


def test_rings_gates_devices_and_steps_are_shown_with_their_figures(filled: RecordedHub, visit: Visit) -> None:
    page = visit(f"/rollouts/{UNDER_WAY}")
    expect(page.get_by_role("heading", level=1)).to_have_text("digits 5")
    expect(row(page, "10% of site north, site south")).to_contain_text("6 of 9")
    expect(row(page, "10% of site north, site south")).to_contain_text("1 refused it, 1 went back, 1 silent")
    expect(row(page, "could not compute 9 of 84 calls")).to_contain_text("Failed")
    expect(page.get_by_text(re.compile(r"10\sms \(before: 8\.6\sms\)"))).to_be_visible()
    expect(page.get_by_text("0.9581")).to_be_visible()
    devices = page.get_by_role("table", name="Devices with their ring")
    expect(devices.get_by_role("row").nth(1)).to_contain_text("Went back")
    expect(row(page, "Ring passed lab")).to_contain_text("the hub")


def test_it_is_halted_resumed_and_rolled_back_after_asking(filled: RecordedHub, visit: Visit) -> None:
    page = visit(f"/rollouts/{UNDER_WAY}")
    linked(page)
    for label, then in (("Halt", "It is halted"), ("Resume", "Running"), ("Roll back", "Rolled back")):
        page.get_by_role("button", name=f"{label} {UNDER_WAY}").click()
        page.get_by_role("alertdialog").get_by_role("button", name=f"{label} {UNDER_WAY}").click()
        expect(page.get_by_text(then).first).to_be_visible()
        expect(page.get_by_role("alertdialog")).to_have_count(0)
    assert filled.rollouts.known[UNDER_WAY].status is RolloutStatus.ROLLED_BACK
    expect(page.get_by_role("button", name="Roll back")).to_have_count(0)


def test_who_only_looks_is_offered_nothing(filled: RecordedHub, visit: Visit) -> None:
    filled.role = Role.VIEWER
    page = visit(f"/rollouts/{UNDER_WAY}")
    expect(page.get_by_text("Ring passed")).to_be_visible()
    linked(page)
    expect(page.get_by_role("button", name="Halt")).to_have_count(0)
    expect(page.get_by_role("button", name="Roll back")).to_have_count(0)


def test_a_model_leads_to_its_rollouts_which_change_as_it_happens(filled: RecordedHub, visit: Visit) -> None:
    page = visit("/models/digits")
    table = page.get_by_role("table", name="Rollouts of this model")
    expect(table.get_by_role("row").nth(1)).to_contain_text("version 5")
    expect(table.get_by_role("row").nth(2)).to_contain_text("3 of 9 devices refused it")
    linked(page)
    filled.tell(RolloutChanged(data=replace(rollouts()[0], status=RolloutStatus.DONE)))
    expect(table.get_by_role("row").nth(1)).to_contain_text("Done")
    table.get_by_role("link", name="version 3").click()
    page.wait_for_url(f"**/rollouts/{TAKEN_BACK}")
    page.get_by_role("link", name="digits", exact=True).click()
    page.wait_for_url("**/models/digits")
