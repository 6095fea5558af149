"""Alerts, silences and notices, in MongoDB. Alerts are opened and resolved by the hub that holds the lease, and no
other; what people decide about them are fields that it leaves alone.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec
from pymongo import ReturnDocument, UpdateOne
from pymongo.errors import DuplicateKeyError

from flip_hub.alerts.board import Changes
from flip_hub.alerts.schemas import Alert, Notice, NoticeState, Owed, Silence
from flip_hub.api.pages import Order, Page, Wanted
from flip_hub.mongo import Database, Document

NEWEST_FIRST = Order(("opened_at", -1), ("_id", -1))
_SILENCES = Order(("until", -1), ("_id", -1))
_NOTICES = Order(("made_at", -1), ("_id", -1))
_AT_ONCE = 1000


class AlertStore:
    """Collections `alerts`, `silences` and `notices`."""

    def __init__(self, database: Database) -> None:
        self._alerts = database["alerts"]
        self._silences = database["silences"]
        self._notices = database["notices"]

    # ---- alerts ----

    async def open_alerts(self) -> list[Alert]:
        return [_alert(document) async for document in self._alerts.find({"resolved_at": None})]

    async def take(self, changes: Changes) -> None:
        """An opening that nobody was told of by now is not told when it is resolved either."""
        for start in range(0, len(changes.opened), _AT_ONCE):
            batch = changes.opened[start : start + _AT_ONCE]
            await self._alerts.insert_many([_document(alert) for alert in batch], ordered=False)
        updates = [
            UpdateOne({"_id": each.id}, {"$set": {"text": each.text, "updated_at": each.updated_at}})
            for each in changes.updated
        ]
        for alert in changes.resolved:
            ended = {"resolved_at": alert.resolved_at, "updated_at": alert.updated_at, "ended": datetime.now(UTC)}
            untold, told = {"_id": alert.id, "owed": Owed.OPENED.value}, {"_id": alert.id, "resolved_at": None}
            updates += [
                UpdateOne(untold, {"$set": {**ended, "owed": Owed.NOTHING.value}}),
                UpdateOne(told, {"$set": {**ended, "owed": Owed.RESOLVED.value}}),
            ]
        for start in range(0, len(updates), _AT_ONCE):
            await self._alerts.bulk_write(updates[start : start + _AT_ONCE], ordered=True)

    async def page(self, wanted: Wanted, *, resolved: bool | None, **equal: str) -> Page[Alert]:
        """`equal`: fields that must have that value; an empty one asks for nothing."""
        where: dict[str, Any] = {name: value for name, value in equal.items() if value}
        if resolved is not None:
            where["resolved_at"] = {"$ne": None} if resolved else None
        return await NEWEST_FIRST.read(self._alerts, where, wanted, _alert)

    async def acknowledge(self, alert_id: str, by: str, now: float) -> Alert | None:
        """The first to do so is kept."""
        unseen = {"_id": alert_id, "acknowledged_at": None}
        await self._alerts.update_one(unseen, {"$set": {"acknowledged_at": now, "acknowledged_by": by}})
        document = await self._alerts.find_one({"_id": alert_id})
        return None if document is None else _alert(document)

    # ---- what is to be told ----

    async def owed(self) -> list[Alert]:
        found = self._alerts.find({"owed": {"$gt": ""}}).sort("opened_at", 1)
        return [_alert(document) async for document in found]

    async def settled(self, alerts: Sequence[Alert]) -> None:
        """Unless something new is owed by now."""
        for owed in (Owed.OPENED, Owed.RESOLVED):
            ids = [alert.id for alert in alerts if alert.owed is owed]
            if ids:
                where = {"_id": {"$in": ids}, "owed": owed.value}
                await self._alerts.update_many(where, {"$set": {"owed": Owed.NOTHING.value}})

    # ---- notices ----

    async def add_notice(self, notice: Notice) -> None:
        """One that is there already stays as it is: a crash may have come before the alerts were settled."""
        try:
            await self._notices.insert_one({**_document(notice), "at": datetime.now(UTC)})
        except DuplicateKeyError:
            return

    async def due_notice(self, now: float) -> Notice | None:
        due = {"state": NoticeState.WAITING.value, "next_attempt": {"$lte": now}}
        document = await self._notices.find_one(due, sort=[("next_attempt", 1)])
        return None if document is None else _notice(document)

    async def keep_notice(self, notice: Notice) -> None:
        document = _document(notice)
        await self._notices.update_one({"_id": document.pop("_id")}, {"$set": document})

    async def waiting_notices(self) -> int:
        return await self._notices.count_documents({"state": NoticeState.WAITING.value})

    async def notices(self, wanted: Wanted) -> Page[Notice]:
        return await _NOTICES.read(self._notices, {}, wanted, _notice)

    # ---- silences ----

    async def add_silence(self, silence: Silence) -> None:
        await self._silences.insert_one({**_document(silence), "ends": datetime.fromtimestamp(silence.until, UTC)})

    async def silences(self, now: float) -> list[Silence]:
        """That are not over."""
        return [_silence(document) async for document in self._silences.find({"until": {"$gt": now}})]

    async def silences_page(self, wanted: Wanted, now: float) -> Page[Silence]:
        """The same, the one that ends last first."""
        return await _SILENCES.read(self._silences, {"until": {"$gt": now}}, wanted, _silence)

    async def end_silence(self, silence_id: str, now: float) -> Silence | None:
        """It counts no more."""
        return _silence_if_any(
            await self._silences.find_one_and_update(
                {"_id": silence_id}, {"$min": {"until": now}}, return_document=ReturnDocument.AFTER
            )
        )


def _document(value: Alert | Notice | Silence) -> Document:
    document: Document = msgspec.to_builtins(value)
    document["_id"] = document.pop("id")
    return document


def _alert(document: Document) -> Alert:
    return msgspec.convert({**document, "id": document["_id"]}, Alert)


def _notice(document: Document) -> Notice:
    return msgspec.convert({**document, "id": document["_id"]}, Notice)


def _silence(document: Document) -> Silence:
    return msgspec.convert({**document, "id": document["_id"]}, Silence)


def _silence_if_any(document: Document | None) -> Silence | None:
    return None if document is None else _silence(document)
