"""What people see of a run while it goes on, and do with it."""

from collections.abc import Callable

import fleet
import msgspec
import recorded_late
import recorded_spans
from playwright.sync_api import Page, expect
from recorded_hub import RecordedHub
from screen import linked, row

from flip_hub.devices.schemas import Absence
from flip_hub.federation.schemas import Absent, RunStatus, Turnout
from flip_hub.live import Lagged, ListGrew, Listing, More, RoundChanged, RunChanged

Visit = Callable[..., Page]


def test_late_contributions_are_listed_and_only_then(hub: RecordedHub, visit: Visit) -> None:
    hub.fill()
    page = visit(f"/runs/{fleet.FINISHED}")
    expect(row(page, "0.9370")).to_be_visible()
    expect(page.get_by_role("heading", name="Late contributions")).to_have_count(0)
    linked(page)
    hub.late[fleet.FINISHED] = recorded_late.late_contributions()
    hub.tell(ListGrew(data=More(of=Listing.LATE, id=fleet.FINISHED)))
    expect(page.get_by_text("Dropped to make room for newer ones: 4")).to_be_visible()
    late = row(page, "its round had ended after 60 s")
    expect(late).to_contain_text("2, training")
    expect(late).to_contain_text("38 sec")
    expect(late).to_contain_text("4.6 MiB")
    late.get_by_role("link", name="orchard-gateway").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("orchard-gateway")


def test_a_run_that_waits_says_for_whom(hub: RecordedHub, visit: Visit) -> None:
    hub.fill()
    run = msgspec.structs.replace(hub.runs[fleet.RUNNING], wants=3)
    silent, held = (
        Absent(device_id=device.id, name=device.name, why=why, detail=detail, last_seen=device.last_seen)
        for device, (why, detail) in zip(
            fleet.devices(), [(Absence.UNKNOWN, ""), (Absence.HELD, "battery at 12 %")], strict=False
        )
    )
    hub.turnout[run.id] = Turnout(able=2, absent=[silent, held], others=0)
    hub.tell(RunChanged(data=run))
    page = visit(f"/runs/{run.id}")
    expect(page.get_by_text("Devices that can take part: 2; the strategy wants at least 3")).to_be_visible()
    expect(page.get_by_text(f"{silent.name}: unknown since")).to_be_visible()
    expect(page.get_by_text(f"{held.name}: holds training (battery at 12 %)")).to_be_visible()
    linked(page)
    hub.turnout[run.id] = Turnout(able=3, absent=[silent], others=0)
    hub.tell(Lagged())
    expect(page.get_by_text("Devices that can take part: 3; absent: 1")).to_be_visible()
    hub.turnout[run.id] = Turnout(able=4, absent=[], others=0)
    hub.tell(Lagged())
    expect(page.get_by_text("Devices that can take part")).to_have_count(0)


def test_where_the_time_went_is_told_in_bars_and_in_numbers_as_soon_as_devices_tell(
    hub: RecordedHub, visit: Visit
) -> None:
    hub.fill()
    hub.spans = {}
    page = visit(f"/runs/{fleet.RUNNING}")
    expect(page.get_by_text("A device tells once it knows")).to_be_visible()
    linked(page)
    hub.spans = {fleet.RUNNING: recorded_spans.spans()}
    flower_run = hub.runs[fleet.RUNNING].flower_run_id
    hub.tell(ListGrew(data=More(of=Listing.SPANS, id=flower_run)))
    table = page.get_by_role("table", name="Where the time of round 2, training, went")
    slowest, held = table.get_by_role("row").nth(1), table.get_by_role("row").nth(2)
    expect(slowest).to_contain_text("orchard-gateway")
    expect(slowest).to_contain_text("too late")
    expect(held).to_contain_text("press-line-3")
    expect(held).to_contain_text("51 sec")  # before the training and in its middle
    expect(held).to_contain_text("13 sec")
    expect(held).to_contain_text("counted in its round: went on after a restart")
    bar = page.get_by_role("img", name="clinic-aarhus-02: Receive 0.6 secs, Train 14 secs, Deliver 0.9 secs")
    expect(bar).to_be_visible()
    page.get_by_role("combobox", name="Round").select_option("1, training")
    expect(page.get_by_role("table", name="round 1, training")).to_contain_text(
        "failed: the ClientApp ran out of memory"
    )


def test_a_run_is_watched_to_its_end(hub: RecordedHub, visit: Visit) -> None:
    hub.fill()
    page = visit(f"/runs/{fleet.RUNNING}")
    expect(page.get_by_role("progressbar")).to_have_attribute("aria-valuenow", "2")
    accuracy = page.get_by_role("img", name="accuracy by round")
    expect(accuracy).to_have_accessible_name("accuracy by round. Latest on devices: 0.7830. Latest on the hub: 0.7620.")
    linked(page)

    run = hub.runs[fleet.RUNNING]
    for number in (3, 4, 5):
        hub.tell(
            RunChanged(data=msgspec.structs.replace(run, round=number, eta=22.0 * (5 - number))),
            RoundChanged(data=fleet.round_of(fleet.RUNNING, number)),
        )
        expect(page.get_by_text(f"Round {number} of 5")).to_be_visible()
        expect(page.get_by_role("progressbar")).to_have_attribute("aria-valuenow", str(number))
    expect(accuracy).to_have_accessible_name("accuracy by round. Latest on devices: 0.9370. Latest on the hub: 0.9160.")
    expect(row(page, "0.9370")).to_contain_text("4 of 4")

    end = {"status": RunStatus.FINISHED, "round": 5, "eta": None, "finished_at": fleet.NOW, "promoted_version": 5}
    hub.tell(RunChanged(data=msgspec.structs.replace(run, **end)))
    expect(page.get_by_text("version 5 promoted")).to_be_visible()
    expect(page.get_by_role("button", name="Stop run")).to_have_count(0)


def test_the_data_under_a_chart_is_a_table(hub: RecordedHub, visit: Visit) -> None:
    hub.fill()
    page = visit(f"/runs/{fleet.FINISHED}")
    page.get_by_text("Data", exact=True).first.click()
    table = page.get_by_role("table", name="accuracy by round")
    expect(table.get_by_role("row", name="4 0.9140 0.8930")).to_be_visible()


def test_stopping_a_run_asks_by_its_name(hub: RecordedHub, visit: Visit) -> None:
    hub.fill()
    page = visit(f"/runs/{fleet.RUNNING}")
    page.get_by_role("button", name=f"Stop run {fleet.RUNNING}").click()
    dialog = page.get_by_role("alertdialog", name=f"Stop {fleet.RUNNING}?")
    dialog.get_by_role("button", name="Cancel").click()
    expect(dialog).to_have_count(0)
    assert hub.runs[fleet.RUNNING].status is RunStatus.RUNNING
    page.get_by_role("button", name=f"Stop run {fleet.RUNNING}").click()
    dialog.get_by_role("button", name=f"Stop run {fleet.RUNNING}").click()
    expect(page.get_by_text("Stopped")).to_be_visible()


def test_contributions_are_listed_with_their_share_and_why_they_were_refused(hub: RecordedHub, visit: Visit) -> None:
    hub.fill()
    hub.contributions[fleet.FINISHED] = recorded_late.contributions()
    page = visit(f"/runs/{fleet.FINISHED}")
    counted = row(page, "62.5%")
    expect(counted).to_contain_text("2, training")
    expect(counted).to_contain_text("counted in round 3")
    expect(counted).to_contain_text("yes, receipt 7")
    expect(row(page, "a replayed receipt")).to_contain_text("refused")
    expect(row(page, "out of memory")).to_contain_text("failed")


def test_a_run_that_ended_before_its_first_round_says_so(hub: RecordedHub, visit: Visit) -> None:
    hub.fill()
    run = hub.runs[fleet.RUNNING]
    hub.runs[run.id] = msgspec.structs.replace(
        run, status=RunStatus.FAILED, round=0, eta=None, finished_at=fleet.NOW, reason="no such layer"
    )
    hub.rounds = {key: each for key, each in hub.rounds.items() if key[0] != run.id}
    page = visit(f"/runs/{run.id}")
    expect(page.get_by_text("Ended before its first round", exact=True)).to_be_visible()
    expect(page.get_by_text("nothing was promoted")).to_be_visible()


def test_a_run_that_made_no_model_says_so_in_the_list(hub: RecordedHub, visit: Visit) -> None:
    hub.fill()
    run = hub.runs[fleet.FINISHED]
    hub.runs[run.id] = msgspec.structs.replace(run, promoted_version=None, warning="this run made no model")
    expect(row(visit("/runs"), run.id)).to_contain_text("this run made no model")


def test_where_the_chain_of_receipts_ends_is_shown_and_how_it_is_checked(hub: RecordedHub, visit: Visit) -> None:
    hub.fill()
    hub.seals = {}
    page = visit(f"/runs/{fleet.RUNNING}")
    expect(page.get_by_text("Each contribution gets its receipt once the hub has decided on it.")).to_be_visible()
    linked(page)
    hub.seals[fleet.RUNNING] = recorded_late.seal(fleet.RUNNING, 12)
    hub.tell(RoundChanged(data=fleet.round_of(fleet.RUNNING, 3)))
    chain = page.locator("section").filter(has=page.get_by_role("heading", name="Receipts"))
    expect(chain).to_contain_text("Entries12")
    expect(chain).to_contain_text("of the chain so far: it grows until the run ends")
    expect(chain).to_contain_text("5e" * 32)
    expect(chain).to_contain_text(f"flip-hub runs receipts {fleet.RUNNING} --out {fleet.RUNNING}.receipts")
    expect(chain).to_contain_text(f"flip-hub receipts verify {fleet.RUNNING}.receipts")
    hub.seals[fleet.RUNNING] = recorded_late.seal(fleet.RUNNING, 20, final=True)
    end = {"status": RunStatus.FINISHED, "round": 5, "eta": None, "finished_at": fleet.NOW}
    hub.tell(RunChanged(data=msgspec.structs.replace(hub.runs[fleet.RUNNING], **end)))
    expect(chain).to_contain_text("Entries20")
    expect(chain).to_contain_text("final, ")
    page.goto(f"/runs/{fleet.FAILED}")
    expect(page.get_by_text("It ended before the hub had anything to decide on.")).to_be_visible()
