"""When alerts open and close, and what a mail says of them."""

from msgspec.structs import replace

from flip_hub.alerts.board import Board
from flip_hub.alerts.digest import notice_of, to_tell
from flip_hub.alerts.facts import (
    DeviceFacts,
    Facts,
    HubFacts,
    LossFacts,
    RollbackFacts,
    RolloutFacts,
    RunFacts,
    TokenFacts,
)
from flip_hub.alerts.rules import RULES
from flip_hub.alerts.schemas import Alert, Owed, Silence
from flip_hub.settings import AlertsSection

HEALTHY = HubFacts(disk_free=2**40)
NOW = 1_000_000.0
LIMITS = AlertsSection(device_silent=300, device_backlog=100)


def facts(at: float, *devices: DeviceFacts, **others: object) -> Facts:
    return replace(Facts(now=NOW + at, hub=HEALTHY), devices=list(devices), **others)


def box(**told: object) -> DeviceFacts:
    return replace(DeviceFacts(id="dev-1", name="box", last_seen=NOW), **told)


def board(*open_alerts: Alert) -> Board:
    return Board(open_alerts, LIMITS, "https://hub")


def test_a_silent_device_opens_one_alert_that_leads_to_it() -> None:
    watched, silent = board(), box(last_seen=NOW - 301)
    (opened,) = watched.look(facts(0, silent)).opened
    assert (opened.rule, opened.subject, opened.name) == ("device-unknown", "dev-1", "box")
    assert opened.url == "https://hub/devices/dev-1"
    assert opened.owed is Owed.OPENED
    assert not watched.look(facts(10, silent))
    (resolved,) = watched.look(facts(20)).resolved
    assert (resolved.id, resolved.resolved_at) == (opened.id, NOW + 20)


def test_what_comes_and_goes_is_one_alert() -> None:
    watched, full = board(), box(backlog=200)
    assert not watched.look(facts(0, full))
    assert not watched.look(facts(30))  # gone before it had held for a minute
    assert not watched.look(facts(40, full))
    (opened,) = watched.look(facts(100, full)).opened
    for at in (110, 150, 200):
        assert not watched.look(facts(at))  # gone, but not for two minutes
        assert not watched.look(facts(at + 5, full)).resolved
    assert not watched.look(facts(300))
    (resolved,) = watched.look(facts(420)).resolved
    assert resolved.id == opened.id


def test_a_number_that_changes_with_each_heartbeat_is_written_once_a_minute() -> None:
    watched = board()
    watched.look(facts(0, box(backlog=200)))
    watched.look(facts(60, box(backlog=200)))
    assert not watched.look(facts(70, box(backlog=201)))
    (updated,) = watched.look(facts(120, box(backlog=300))).updated
    assert "300" in updated.text


def test_a_hub_that_takes_over_goes_on_with_the_open_alerts() -> None:
    first = board()
    (opened,) = first.look(facts(0, box(clone=True))).opened
    second = board(opened)
    assert not second.look(facts(5, box(clone=True)))


def test_every_rule_finds_what_it_is_for_and_nothing_on_a_healthy_hub() -> None:
    assert not board().look(facts(0, box()))
    ill = box(last_seen=NOW - 900, backlog=10**6, disk_free=1, mode="safe", clone=True, critical=["disk full"])
    everything = facts(
        0,
        ill,
        losses=[LossFacts(device_id="dev-1", count=3, reason="disk full")],
        rollbacks=[RollbackFacts(device_id="dev-1", model="m", version=2, to_version=1, reason="worse")],
        rollouts=[RolloutFacts(id="rollout-1", model="m", version=2, reason="ring lab: errors: 9 of 10 calls")],
        runs=[
            RunFacts(id="run-1", app="a 1", ended=False, failed=False, reason="waits", moved_at=NOW - 10**6),
            RunFacts(id="run-2", app="a 1", ended=True, failed=True, reason="broke", moved_at=NOW),
        ],
        tokens=[TokenFacts(id="t", name="ci", username="ada", expires_at=NOW + 60)],
        hub=HubFacts(
            disk_free=0,
            certificates={"fleet": NOW + 60},
            superlink_ready=False,
            refused_logins=1000,
            audit_broken="entry 4 was changed",
        ),
    )
    watched = board()
    watched.look(everything)
    watched.look(replace(everything, now=NOW + 200))
    found = {alert.rule for alert in watched.look(facts(400_000)).resolved}
    gone = {alert.rule for alert in watched.look(facts(500_000)).resolved}
    assert found | gone == {rule.code for rule in RULES}


def silent(count: int) -> list[Alert]:
    devices = [box(id=f"dev-{n}", name=f"box {n}", tags=["roof"], last_seen=NOW - 301) for n in range(count)]
    return board().look(facts(0, *devices)).opened


def test_ten_thousand_silent_devices_make_one_short_mail() -> None:
    alerts = silent(10_000)
    assert to_tell(alerts, [], NOW + 5, 30) == []
    told = to_tell(alerts, [], NOW + 30, 30)
    notice = notice_of(told, "mail", NOW + 30)
    assert len(told) == 10_000
    assert notice.subject == "[FLIP] warning: Device is silent (10000)"
    assert "... and 9980 more" in notice.text
    assert len(notice.text) < 4_000
    assert notice.id == notice_of(list(reversed(told)), "mail", NOW + 99).id
    assert notice.id != notice_of(told, "webhook", NOW).id


def test_what_is_silenced_is_not_told_while_it_is() -> None:
    (alert,) = silent(1)
    for match in ({}, {"rule": "device-unknown"}, {"device_id": "dev-0"}, {"tag": "roof"}):
        silence = Silence(id="s", why="works", by="ada", since=NOW, until=NOW + 100, **match)
        assert to_tell([alert], [silence], NOW + 50, 0) == []
        assert to_tell([alert], [silence], NOW + 100, 0) == [alert]
    for other in ({"rule": "rollback"}, {"device_id": "dev-9"}, {"tag": "cellar"}):
        silence = Silence(id="s", why="works", by="ada", since=NOW, until=NOW + 100, **other)
        assert to_tell([alert], [silence], NOW + 50, 0) == [alert]
