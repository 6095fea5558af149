"""An audit that was tampered with is found by the hub itself, part by part, and opens an alert."""

from pathlib import Path

import pytest
from msgspec.structs import replace

from alert_rig import QUICK, alerting, alerts, until
from core_hub import CoreHub, running_core
from flip_hub.alerts.sources.chain import EVERY, ChainWatch
from flip_hub.audit.entry import Link
from flip_hub.audit.head import FILE, HeadFile
from flip_hub.audit.service import Audit
from flip_hub.audit.store import AuditStore
from flip_hub.mongo import Database

pytestmark = pytest.mark.asyncio

ENTRIES, AT_ONCE = 10, 3


class Clock:
    def __init__(self) -> None:
        self.now = 1.0

    def __call__(self) -> float:
        return self.now


async def watched(database: Database, folder: Path, clock: Clock) -> ChainWatch:
    """A chain of ten entries, of which three are verified at each look."""
    store, head = AuditStore(database), HeadFile(folder, b"secret")
    audit = Audit(store, head)
    for number in range(ENTRIES):
        await audit.note("device.revoke", actor="ada", subject=f"dev-{number}")
    head.save(await store.end(), 1.0)
    return ChainWatch(store, head, at_once=AT_ONCE, clock=clock)


async def looks(chain: ChainWatch) -> list[str]:
    """As many as one verification takes."""
    return [await chain.look() for _ in range(ENTRIES // AT_ONCE + 1)]


async def test_a_change_is_found_by_the_look_that_comes_to_it_and_stands_until_the_chain_is_whole(
    database: Database, folder: Path
) -> None:
    clock, entries = Clock(), database["audit"]
    chain = await watched(database, folder, clock)
    assert await looks(chain) == ["", "", "", ""]
    before = await entries.find_one_and_update({"_id": 5}, {"$set": {"actor": "eve"}})
    assert before is not None
    assert set(await looks(chain)) == {""}, "verified not long ago"
    clock.now += EVERY
    assert await looks(chain) == ["", *["entry 5 was changed"] * 3]
    await entries.replace_one({"_id": 5}, before)
    clock.now += EVERY
    assert await looks(chain) == [*["entry 5 was changed"] * 3, ""]


async def test_what_was_cut_off_put_in_or_signed_by_another_is_found(database: Database, folder: Path) -> None:
    clock, entries = Clock(), database["audit"]
    chain = await watched(database, folder, clock)
    last = await entries.find_one_and_delete({"_id": ENTRIES})
    assert last is not None
    assert (await looks(chain))[-1] == "entry 10 was removed from the end"
    await entries.insert_one(last)
    await database.command("collMod", "audit", validationLevel="off")
    await entries.insert_one({"_id": "not a number"})  # pyright: ignore[reportArgumentType]
    clock.now += EVERY
    assert "'not a number' that the hub has not written" in (await looks(chain))[-1]
    await entries.delete_one({"_id": "not a number"})
    HeadFile(folder, b"another secret").save(Link(), 1.0)
    clock.now += EVERY
    assert "not signed by this hub" in await chain.look()
    (folder / FILE).unlink()
    clock.now += EVERY
    assert (await looks(chain))[-1] == "", "a hub that has just taken over has kept no head yet"


async def test_a_broken_chain_opens_an_alert_and_a_whole_one_resolves_it(folder: Path, mongo_url: str) -> None:
    async with running_core(folder, mongo_url) as hub:
        await hub.core.audit.note("device.revoke", actor="ada", subject="dev-1")
        entries, quick = hub.mongo.database["audit"], replace(hub.settings, alerts=QUICK)
        before = await entries.find_one_and_update({"_id": 1}, {"$set": {"actor": "eve"}})
        assert before is not None
        async with alerting(hub, quick):
            (alert,) = await until(lambda: alerts(hub, rule="audit"))
            assert (alert.severity, alert.text) == ("critical", "entry 1 was changed")
        await entries.replace_one({"_id": 1}, before)
        async with alerting(hub, quick):  # the hub was started anew
            (over,) = await until(lambda: _resolved(hub))
            assert over.id == alert.id


async def _resolved(hub: CoreHub) -> object:
    return await alerts(hub, rule="audit", status="resolved")
