"""What people do with the console, and what they see of what happens elsewhere meanwhile."""

from collections.abc import Callable

import fleet
import msgspec
import recorded_events
from playwright.sync_api import Locator, Page, Route, expect
from recorded_hub import PASSWORD, RecordedHub
from screen import NARROW, link_status, linked, photograph, row, sign_in

from flip_hub.devices.schemas import DeviceStatus
from flip_hub.live import DeviceChanged, Lagged, ListGrew, Listing, ModelVersionChanged, More
from flip_wire.fleet import RolloutFailure

Visit = Callable[..., Page]


def test_a_wrong_password_is_refused_in_the_hubs_words(visit: Visit) -> None:
    page = visit("/", signed_in=False)
    sign_in(page, "guess")
    expect(page.get_by_role("alert")).to_contain_text("User name or password is wrong.")
    expect(page.get_by_role("alert")).to_contain_text("flip-hub init prints the login.")


def test_login_leads_to_the_page_that_was_wanted(hub: RecordedHub, visit: Visit) -> None:
    hub.fill()
    page = visit(f"/runs/{fleet.FINISHED}", signed_in=False)
    sign_in(page, PASSWORD)
    expect(page.get_by_role("heading", level=1)).to_have_text("digits 1.0.0")
    page.reload()
    expect(page.get_by_role("heading", level=1)).to_have_text("digits 1.0.0")


def test_a_login_link_leads_nowhere_else(hub: RecordedHub, visit: Visit) -> None:
    page = visit("/login?next=//elsewhere.example/", signed_in=False)
    sign_in(page, PASSWORD)
    page.wait_for_url(f"{hub.url}/")


def test_an_expired_session_asks_again_and_keeps_the_page(hub: RecordedHub, visit: Visit) -> None:
    hub.fill()
    page = visit("/models")
    linked(page)

    def expire(route: Route) -> None:
        hub.expire_tokens()
        route.continue_()

    # As the next page asks, not before: what the list still fetches would find the session ended there.
    page.route("**/api/v1/models/digits**", expire, times=1)
    page.get_by_role("link", name="digits").click()
    sign_in(page, PASSWORD)
    expect(page.get_by_role("heading", level=1)).to_have_text("digits")


def test_devices_appear_and_change_without_reload(hub: RecordedHub, visit: Visit) -> None:
    page = visit("/devices")
    expect(page.get_by_text("flip-hub enrolment-tokens create")).to_be_visible()
    linked(page)
    first = fleet.devices()[0]
    hub.tell(DeviceChanged(data=first))
    expect(row(page, first.name)).to_contain_text("Healthy")
    hub.tell(DeviceChanged(data=msgspec.structs.replace(first, status=DeviceStatus.UNKNOWN)))
    expect(row(page, first.name)).to_contain_text("Unknown since")


def test_a_device_page_says_how_the_device_is(hub: RecordedHub, visit: Visit) -> None:
    hub.fill()
    page = visit("/devices")
    page.get_by_role("link", name="press-line-3").click()
    page.wait_for_url(f"**/devices/{fleet.AILING}")
    expect(fact(page, "Mode")).to_have_text("Normal")
    expect(fact(page, "Training")).to_have_text("Heldwaits: 84 °C, limit 80")
    expect(fact(page, "Temperature")).to_have_text("84 °C")
    expect(fact(page, "Clock")).to_have_text("0.3 s ahead of the hub's")
    left = "12\u00a0MiB of 50\u00a0MiBused: reports 8\u00a0MiB, models 30\u00a0MiB"
    expect(fact(page, "Left to send today")).to_have_text(left)
    main = page.get_by_role("main")
    expect(page.get_by_text("Disk almost full")).to_have_count(1)
    expect(main).to_contain_text("31 MiB free where the agent keeps its state")
    expect(main).to_contain_text("cool it; training waits above governor.temperature_max")
    expect(row(page, "Repaired itself")).to_contain_text("models removed (212.4 MiB)")
    served = page.get_by_role("table", name="Local inference").get_by_role("row").nth(1)
    for told in ("digits@4", "1,284,906", "0.6\u00a0ms", "21.3\u00a0ms", "37", "3, 1 rolled back"):
        expect(served).to_contain_text(told)
    expect(main).to_contain_text("Its sample store has let go: 1,204 samples expired")
    brought = row(page, "Model rollout")
    expect(brought).to_contain_text("digits@5: fetched in 6.1 secs, checked in 1.3 secs: probe differs by 0.013")
    expect(page.get_by_role("table", name="Newest events").get_by_role("row")).to_have_count(5)

    linked(page)
    waits = RolloutFailure(model="digits", version=5, reason="today's budget is used up", again=True)
    safe = msgspec.structs.replace(fleet.reported(4, "idle"), mode="safe", failures=[waits])
    hub.tell(DeviceChanged(data=msgspec.structs.replace(hub.fleet.known[fleet.AILING], reported=safe)))
    expect(fact(page, "Mode")).to_have_text("Safe mode")
    expect(fact(page, "Serves")).to_have_text("digits@4digits@5 waits: today's budget is used up")
    expect(fact(page, "Training")).to_have_text("Idle")


def test_what_a_device_dropped_is_listed_and_only_then(hub: RecordedHub, visit: Visit) -> None:
    hub.fill()
    hub.fleet.gaps = {}
    page = visit(f"/devices/{fleet.AILING}")
    expect(row(page, "Repaired itself")).to_be_visible()
    expect(page.get_by_role("heading", name="Dropped events")).to_have_count(0)
    linked(page)
    hub.fleet.gaps = {fleet.AILING: recorded_events.gaps()}
    hub.tell(ListGrew(data=More(of=Listing.GAPS, id=fleet.AILING)))
    dropped = page.get_by_role("table", name="Dropped events")
    logs, training, alerts = (dropped.get_by_role("row").nth(index) for index in (1, 2, 3))
    expect(logs).to_contain_text("outbox full")
    expect(logs).to_contain_text("40,112 to 41,903")
    expect(logs).to_contain_text("1,792")
    expect(training).to_contain_text("82")
    expect(alerts).to_contain_text("unknown")


def test_filters_live_in_the_address(hub: RecordedHub, visit: Visit) -> None:
    hub.fill()
    page = visit("/devices?status=unknown")
    expect(page.get_by_role("row")).to_have_count(2)
    page.get_by_role("button", name="Unknown").click()
    page.get_by_label("Find a device").fill("ferry")
    page.wait_for_url("**/devices?q=ferry")
    expect(page.get_by_role("row")).to_have_count(2)
    page.get_by_label("Find a device").fill("nothing like it")
    page.get_by_role("button", name="Clear filters").click()
    expect(page.get_by_role("row")).to_have_count(7)


def test_a_version_is_promoted_and_taken_back(hub: RecordedHub, visit: Visit) -> None:
    hub.fill()
    page = visit("/models/digits")
    page.get_by_role("button", name="Promote digits 5").click()
    dialog = page.get_by_role("alertdialog", name="Promote digits 5?")
    expect(dialog).to_contain_text("instead of version 4")
    photograph(page, "promote")
    dialog.get_by_role("button", name="Promote digits 5").click()
    expect(page.get_by_role("row").nth(1)).to_contain_text("Promoted")
    expect(page.get_by_role("row").nth(2)).to_contain_text("Deployable")
    page.get_by_role("button", name="Roll back to digits 4").click()
    page.get_by_role("alertdialog").get_by_role("button", name="Roll back to digits 4").click()
    expect(page.get_by_role("row").nth(2)).to_contain_text("Promoted")


def test_a_refused_promotion_shows_why(hub: RecordedHub, visit: Visit) -> None:
    hub.fill()
    page = visit("/models/digits")
    page.get_by_role("button", name="Promote digits 5").click()
    hub.versions["digits", 5] = fleet.version_of(1, run_id=fleet.FINISHED)
    page.get_by_role("alertdialog").get_by_role("button", name="Promote digits 5").click()
    expect(page.get_by_role("alertdialog").get_by_role("alert")).to_contain_text("Name an export entry point.")


def test_a_lost_link_shows_itself_and_catches_up(hub: RecordedHub, visit: Visit) -> None:
    hub.fill()
    page = visit("/models")
    linked(page)
    hub.versions["digits", 6] = msgspec.structs.replace(fleet.version_of(5, run_id=fleet.FINISHED), version=6)
    hub.drop_links(refuse=True)
    expect(link_status(page)).to_have_text("Reconnecting")
    hub.accept_links()
    linked(page)
    expect(page.get_by_text("version 6")).to_be_visible()


def test_a_console_that_lagged_fetches_again(hub: RecordedHub, visit: Visit) -> None:
    hub.fill()
    page = visit("/devices")
    linked(page)
    expect(page.get_by_text("6 enrolled")).to_be_visible()
    del hub.fleet.known[fleet.device_id(4)]
    hub.tell(Lagged())
    expect(page.get_by_text("5 enrolled")).to_be_visible()


def test_a_frame_during_a_visit_reaches_pages_that_are_not_shown(hub: RecordedHub, visit: Visit) -> None:
    hub.fill()
    page = visit("/models")
    linked(page)
    page.get_by_role("link", name="Devices").click()
    expect(page.get_by_text("6 enrolled")).to_be_visible()
    hub.tell(ModelVersionChanged(data=fleet.version_of(5, run_id=fleet.FINISHED, promoted=True)))
    page.get_by_role("link", name="Models").click()
    expect(row(page, "digits")).to_contain_text("version 5")


def test_a_phone_reaches_every_page_through_the_menu(hub: RecordedHub, visit: Visit) -> None:
    hub.fill()
    page = visit("/devices", size=NARROW)
    page.get_by_role("button", name="Open menu").click()
    photograph(page, "menu")
    page.get_by_role("link", name="Runs").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Runs")
    expect(page.get_by_role("button", name="Open menu")).to_be_visible()


def test_a_keyboard_finds_the_content_and_the_colours_are_kept(hub: RecordedHub, visit: Visit) -> None:
    hub.fill()
    page = visit("/devices")
    expect(page.get_by_text("6 enrolled")).to_be_visible()
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to content")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_role("main")).to_be_focused()
    page.get_by_role("button", name="Colours: As the system").click()
    page.get_by_role("button", name="Colours: Light").click()
    page.reload()
    expect(page.get_by_role("button", name="Colours: Dark")).to_be_visible()
    assert page.evaluate("getComputedStyle(document.documentElement).colorScheme") == "dark"


def test_an_unknown_address_says_so(visit: Visit) -> None:
    expect(visit("/no/such/page").get_by_role("heading", level=1)).to_have_text("No such page")


def fact(page: Page, name: str) -> Locator:
    return page.get_by_role("term").filter(has_text=name).locator("xpath=following-sibling::dd")
