"""What all calls of the API have in common: pages, chosen fields, tags, idempotency keys, and text without NUL."""

import asyncio
import secrets
from collections.abc import AsyncGenerator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
import pytest_asyncio

from core_hub import CoreHub, log_batch, problem, running_core
from flip_hub.api.answer import FIELDS_JSON
from flip_hub.api.idempotency import HEADER, REPLAYED
from flip_hub.api.pages import Order, Wanted
from flip_hub.mongo import Document, Mongo
from flip_hub.settings import MongoSection


@pytest_asyncio.fixture
async def hub(folder: Path, mongo_url: str) -> AsyncGenerator[CoreHub]:
    async with running_core(folder, mongo_url) as started:
        yield started


async def _get(hub: CoreHub, path: str, **headers: str) -> httpx.Response:
    return await hub.http.get(path, headers={**hub.as_user(), **headers})


async def _names(hub: CoreHub, path: str) -> list[list[str]]:
    """By page."""
    pages: list[list[str]] = []
    while path:
        answer = await _get(hub, path)
        assert answer.status_code == 200, answer.text
        pages.append([each["name"] for each in answer.json()])
        path = answer.links.get("next", {}).get("url", "")
    return pages


@pytest.mark.asyncio
async def test_pages_follow_one_another_and_do_not_shift_when_something_is_inserted(hub: CoreHub) -> None:
    for name in ("b", "d", "f", "h", "j"):
        await hub.enrol(name)
    assert await _names(hub, "/api/v1/devices?limit=2") == [["b", "d"], ["f", "h"], ["j"]]
    assert await _names(hub, "/api/v1/devices") == [["b", "d", "f", "h", "j"]]
    first = await _get(hub, "/api/v1/devices?limit=2&status=ok")
    for name in ("a", "e"):
        await hub.enrol(name)
    assert await _names(hub, first.links["next"]["url"]) == [["e", "f"], ["h", "j"]]
    assert await _names(hub, "/api/v1/devices?status=revoked") == [[]]
    assert await _names(hub, "/api/v1/devices?name=e") == [["e"]]


@pytest.mark.asyncio
async def test_a_cursor_that_the_hub_did_not_make_for_this_list_is_refused(hub: CoreHub) -> None:
    for name in ("a", "b"):
        await hub.enrol(name)
    cursor = str((await _get(hub, "/api/v1/devices?limit=1")).links["next"]["url"]).split("cursor=")[1]
    forged = ["", "x", "=", "AAAA", cursor[:-1], "B" + cursor[1:], cursor + "AA", "\N{SNOWMAN}", "%ff", "%00"]
    for wrong in forged:
        assert "cursor" in problem(await _get(hub, f"/api/v1/devices?cursor={wrong}"), 400).detail or "%" in wrong
    for path in ("devices?status=ok", "app-keys?limit=1"):
        assert "this list" in problem(await _get(hub, f"/api/v1/{path}&cursor={cursor}"), 400).detail
    for limit in ("0", "1001", "-1", "x", "1.5"):
        assert "limit" in problem(await _get(hub, f"/api/v1/devices?limit={limit}"), 400).detail


@pytest.mark.asyncio
async def test_events_are_paged_by_when_they_happened(hub: CoreHub) -> None:
    device = await hub.enrol()
    for kind, first in (("log", 0), ("other", 5)):
        batch = log_batch(range(first, first + 5), kind=kind)
        assert (await hub.post("/api/v1/device/telemetry", batch, device.headers)).status_code == 200
    path, found = f"/api/v1/devices/{device.id}/events?limit=3", list[int]()
    while path:
        answer = await _get(hub, path)
        found += [event["seq"] for event in answer.json()]
        path = answer.links.get("next", {}).get("url", "")
    assert found == list(range(9, -1, -1))
    logs = (await _get(hub, f"/api/v1/devices/{device.id}/events?kind=log&fields=seq,kind")).json()
    assert logs == [{"seq": seq, "kind": "log"} for seq in range(4, -1, -1)]


@pytest.mark.asyncio
async def test_only_the_chosen_fields_are_answered_and_unknown_ones_named(hub: CoreHub) -> None:
    device = await hub.enrol("north")
    answer = await _get(hub, "/api/v1/devices?fields=name,id")
    assert answer.json() == [{"name": "north", "id": device.id}]
    assert answer.headers["Content-Type"] == FIELDS_JSON
    assert "nothing" in problem(await _get(hub, "/api/v1/devices?fields=id,nothing"), 400).detail
    for wrong in ("", ",", "$where", "id,,name", "a" * 65, "id;name"):
        problem(await _get(hub, f"/api/v1/devices?fields={wrong}"), 400)


@pytest.mark.asyncio
async def test_what_has_not_changed_is_not_sent_again(hub: CoreHub) -> None:
    await hub.enrol("north")
    first = await _get(hub, "/api/v1/devices")
    again = await _get(hub, "/api/v1/devices", **{"If-None-Match": f'"other", {first.headers["ETag"]}'})
    assert (again.status_code, again.content, again.headers["ETag"]) == (304, b"", first.headers["ETag"])
    await hub.enrol("south")
    changed = await _get(hub, "/api/v1/devices", **{"If-None-Match": first.headers["ETag"]})
    assert (changed.status_code, len(changed.json())) == (200, 2)
    assert (await _get(hub, "/api/v1/devices?limit=1")).headers["ETag"] != first.headers["ETag"], "there is a next page"


async def _token(hub: CoreHub, key: str, body: object, **headers: str) -> httpx.Response:
    return await hub.post("/api/v1/enrolment-tokens", body, {**hub.as_user(), HEADER: key, **headers})


@pytest.mark.asyncio
async def test_a_repeated_key_gives_the_answer_that_was_given(hub: CoreHub) -> None:
    key = secrets.token_hex(8)
    first = await _token(hub, key, {"lifetime": 60})
    again = await _token(hub, key, {"lifetime": 60})
    assert (again.status_code, again.content) == (201, first.content)
    assert (first.headers.get(REPLAYED), again.headers[REPLAYED]) == (None, "true")
    assert "another body" in problem(await _token(hub, key, {"lifetime": 61}), 422).detail
    other = await _token(hub, secrets.token_hex(8), {"lifetime": 60})
    assert other.json()["token"] != first.json()["token"]
    for wrong in ("", "a b", "x" * 256):
        problem(await _token(hub, wrong, {"lifetime": 60}), 400)


@pytest.mark.asyncio
async def test_of_many_at_once_with_one_key_one_is_done(hub: CoreHub) -> None:
    answers = await asyncio.gather(*(_token(hub, "one", {"lifetime": 60}) for _ in range(20)))
    assert {answer.status_code for answer in answers} <= {201, 409}
    assert len({answer.json()["token"] for answer in answers if answer.status_code == 201}) == 1
    for answer in answers:
        if answer.status_code == 409:
            assert "under way" in problem(answer, 409).detail
    assert (await _token(hub, "one", {"lifetime": 60})).status_code == 201


@pytest.mark.asyncio
async def test_what_was_refused_may_be_tried_again_with_the_same_key(hub: CoreHub) -> None:
    problem(await _token(hub, "two", {"lifetime": -1}), 422)
    assert (await _token(hub, "two", {"lifetime": 60})).status_code == 201


@pytest.mark.asyncio
async def test_answers_that_show_a_secret_are_kept_sealed(hub: CoreHub) -> None:
    shown = (await _token(hub, "three", {"lifetime": 60})).json()["token"]
    volatile = hub.core.shared.volatile
    assert shown.encode() not in b"".join(value for _, value in vars(volatile)["_values"].values())


@pytest.mark.asyncio
async def test_nul_and_lone_surrogates_are_refused_wherever_they_are(hub: CoreHub) -> None:
    for path in ("/api/v1/devices/a%00b", "/api/v1/devices?name=%00", "/api/v1/devices?name=%ed%a0%80"):
        problem(await _get(hub, path), 400)
    for body in (b'{"lifetime": 60, "\\u0000": 1}', b'{"lifetime": 60, "\\ud800": 1}', b'{"a": "\\u0000"}'):
        answer = await hub.http.post("/api/v1/enrolment-tokens", content=body, headers=hub.as_user())
        problem(answer, 400)
    harmless = b'{"public_key": "x", "name": "a \\\\u0000 in words"}'
    told = await hub.http.post("/api/v1/app-keys", content=harmless, headers=hub.as_user())
    assert "public_key" in problem(told, 422).detail, "a backslash is no NUL"


@pytest.mark.asyncio
async def test_pages_hold_each_document_once_whatever_they_are_ordered_by(mongo_url: str) -> None:
    mongo = Mongo(MongoSection(url=mongo_url, database=f"test_{secrets.token_hex(6)}"))
    begin = datetime(2026, 1, 1, tzinfo=UTC)
    documents: list[Document] = [
        {"_id": f"{number:03}", "at": begin + timedelta(seconds=number // 7), "rank": number % 3}
        for number in range(50)
    ]
    collection = mongo.database["things"]
    try:
        await collection.insert_many(documents)
        for order in (Order(("at", -1), ("_id", -1)), Order(("rank", 1), ("at", -1), ("_id", 1)), Order(("_id", 1))):
            found, wanted = list[Any](), Wanted(limit=7)
            while True:
                page = await order.read(collection, {}, wanted, lambda document: document["_id"])
                found += page.items
                if page.next is None:
                    break
                content = msgspec.msgpack.encode(page.next)
                wanted = Wanted(limit=7, after=msgspec.msgpack.decode(content, type=tuple[Any, ...]))
            assert sorted(found) == [document["_id"] for document in documents]
            assert found == [each["_id"] async for each in collection.find().sort(order.sort)]
    finally:
        await mongo.database.client.drop_database(mongo.database.name)
        mongo.close()
