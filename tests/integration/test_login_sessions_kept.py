"""`flip_hub.auth.store.SessionStore`: what a hub without Redis knows of sessions after a restart."""

import asyncio

import pytest

from flip_hub.auth.sessions import Reused, Sessions
from flip_hub.auth.store import SessionStore
from flip_hub.mongo import Database
from flip_hub.problem import Unauthorized
from flip_hub.settings import AuthSection


class Clock:
    now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


def hub(database: Database) -> Sessions:
    """As after each start: it has nothing in its memory."""
    return Sessions(SessionStore(database), AuthSection())


@pytest.mark.asyncio
async def test_a_restarted_hub_knows_every_session_and_every_end_of_one(database: Database) -> None:
    first, _ = await hub(database).begin("ada", "stamp", "10.0.0.1", "curl")
    second, _ = await hub(database).begin("ada", "stamp", "10.0.0.2", "curl")
    assert {*await hub(database).of("ada")} == {first, second}
    renewed = await hub(database).exchange(first, 0)
    assert (renewed.turn, (await hub(database).exchange(first, 0)).turn) == (1, 1)
    await hub(database).end(second)
    assert {*await hub(database).of("ada")} == {first}
    with pytest.raises(Unauthorized):
        await hub(database).exchange(second, 0)


@pytest.mark.asyncio
async def test_a_token_that_was_used_before_the_restart_ends_the_session(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("flip_hub.auth.sessions.LEEWAY", 0.0)
    session, _ = await hub(database).begin("ada", "stamp", "10.0.0.1", "curl")
    await hub(database).exchange(session, 0)
    with pytest.raises(Reused):
        await hub(database).exchange(session, 0)
    assert await hub(database).get(session) is None


@pytest.mark.asyncio
async def test_what_has_expired_is_gone_before_mongodb_removes_it(database: Database) -> None:
    clock = Clock()
    values = SessionStore(database, clock)
    await values.put("session", b"ada", 10.0)
    assert await values.add("turned", b"1", 10.0)
    assert not await values.add("turned", b"2", 10.0)
    assert [await values.count("logins", 10.0), await values.count("logins", 10.0)] == [1, 2]
    clock.now += 9.0
    assert [await values.get("session"), await values.get("turned")] == [b"ada", b"1"]
    clock.now += 1.0
    assert [await values.get("session"), await values.get("turned")] == [None, None]
    assert await values.add("turned", b"3", 10.0)
    assert await values.count("logins", 10.0) == 1
    await values.remove("turned", "nothing")
    assert await values.get("turned") is None


@pytest.mark.asyncio
async def test_of_several_at_once_one_adds_and_each_counts(database: Database) -> None:
    values = SessionStore(database)
    added = await asyncio.gather(*(values.add("turned", b"%d" % each, 60.0) for each in range(8)))
    assert sum(added) == 1
    counted = await asyncio.gather(*(values.count("logins", 60.0) for _ in range(8)))
    assert sorted(counted) == list(range(1, 9))
