"""Events from devices, in MongoDB: each once, for a week, spans as long; what devices declared dropped for longer."""

from collections.abc import Iterable
from collections.abc import Set as AbstractSet
from datetime import UTC, datetime

import msgspec
from bson import Binary
from motor.motor_asyncio import AsyncIOMotorCollection
from msgspec import Raw
from pymongo import DESCENDING
from pymongo.errors import BulkWriteError

from flip_hub.api.pages import Order, Page, Wanted
from flip_hub.intake.delivery import Delivery
from flip_hub.mongo import Database, Document
from flip_hub.telemetry.hub_time import moment, moved
from flip_hub.telemetry.schemas import DeclaredGap, StoredEvent, StoredSpans
from flip_wire.fleet import DeviceId
from flip_wire.spans import Span, Spans
from flip_wire.telemetry import Event, Gap, Priority, Seq, Stamp

LATEST = 10_000
"""Events of a device in which an earlier boot is looked for."""
_DUPLICATE = 11000
_EVENTS = Order(("happened", DESCENDING), ("seq", DESCENDING), ("epoch", DESCENDING))
_GAPS = Order(("declared", DESCENDING), ("seq", DESCENDING), ("epoch", DESCENDING))
_SPANS = Order(("happened", DESCENDING), ("seq", DESCENDING), ("device", DESCENDING), ("epoch", DESCENDING))


class EventStore:
    """Collection `events`. Bodies stay the JSON they came as: no device can name a field of the registry."""

    def __init__(self, database: Database) -> None:
        self._events = database["events"]

    async def insert(self, events: Iterable[tuple[Delivery, Event]]) -> None:
        """Those that are there already stay as they are. On return all of them are on disk."""
        await _insert_new(self._events, [_document(delivery, event) for delivery, event in events])

    async def began(self, device_id: DeviceId, boots: AbstractSet[str]) -> dict[str, float]:
        """When those boots began, by the hub's clock; of those that sent some of the device's latest events."""
        latest = [{"$match": {"device": device_id}}, {"$sort": {"happened": -1, "seq": -1}}, {"$limit": LATEST}]
        heard = {"$match": {"boot_id": {"$in": list(boots)}, "began": {"$type": "double"}}}
        each = {"$group": {"_id": "$boot_id", "began": {"$first": "$began"}}}
        return {found["_id"]: found["began"] async for found in self._events.aggregate([*latest, heard, each])}

    async def newest(self, device_id: DeviceId, wanted: Wanted, kind: str | None) -> Page[StoredEvent]:
        of_kind = {} if kind is None else {"kind": kind}
        return await _EVENTS.read(self._events, {"device": device_id, **of_kind}, wanted, _event)


class GapStore:
    """Collection `gaps`."""

    def __init__(self, database: Database) -> None:
        self._gaps = database["gaps"]

    async def insert(self, deliveries: Iterable[Delivery]) -> None:
        """Those that are there already stay as they are."""
        gaps = [_gap_document(each, event, gap) for each in deliveries for event, gap in each.checked.of(Gap)]
        await _insert_new(self._gaps, gaps)

    async def newest(self, device_id: DeviceId, wanted: Wanted) -> Page[DeclaredGap]:
        return await _GAPS.read(self._gaps, {"device": device_id}, wanted, _gap)


class SpanStore:
    """Collection `spans`: a document holds those of one event, as JSON with the starts by the hub's clock."""

    def __init__(self, database: Database) -> None:
        self._spans = database["spans"]

    async def insert(self, deliveries: Iterable[Delivery]) -> None:
        """Those that are there already stay as they are."""
        spans = [_spans_document(each, event, body) for each in deliveries for event, body in each.checked.of(Spans)]
        await _insert_new(self._spans, spans)

    async def newest(self, flower_run_id: str, wanted: Wanted) -> Page[StoredSpans]:
        """By message of the run, the one that ended last first."""
        return await _SPANS.read(self._spans, {"run": flower_run_id}, wanted, _stored_spans)


async def _insert_new(collection: AsyncIOMotorCollection[Document], documents: list[Document]) -> None:
    if not documents:
        return
    try:
        await collection.insert_many(documents, ordered=False)
    except BulkWriteError as error:
        if any(failure["code"] != _DUPLICATE for failure in error.details["writeErrors"]):
            raise


def _document(delivery: Delivery, event: Event) -> Document:
    batch, time = delivery.checked.batch, delivery.times
    return {
        "device": delivery.device_id,
        "epoch": batch.epoch,
        "seq": event.seq,
        "priority": int(batch.priority),
        "kind": event.kind,
        "wall": event.at.wall,
        "monotonic": event.at.monotonic,
        "boot_id": event.at.boot_id,
        "began": time.began(event.at),
        "happened": moment(time.of(event.at)),
        "received": moment(time.received),
        "body": Binary(bytes(event.body)),
    }


def _gap_document(delivery: Delivery, event: Event, gap: Gap) -> Document:
    return {
        "device": delivery.device_id,
        "epoch": delivery.checked.batch.epoch,
        "seq": event.seq,
        "declared": moment(delivery.times.of(event.at)),
        **msgspec.to_builtins(gap),
    }


def _spans_document(delivery: Delivery, event: Event, body: Spans) -> Document:
    happened = delivery.times.of(event.at)
    return {
        "device": delivery.device_id,
        "epoch": delivery.checked.batch.epoch,
        "seq": event.seq,
        "run": body.run_id,
        "message": body.message_id,
        "happened": moment(happened),
        "received": moment(delivery.times.received),
        "spans": Binary(msgspec.json.encode([moved(span, event.at, happened) for span in body.spans])),
    }


def _stored_spans(document: Document) -> StoredSpans:
    return StoredSpans(
        device_id=document["device"],
        message_id=document["message"],
        spans=msgspec.json.decode(document["spans"], type=list[Span]),
    )


def _event(document: Document) -> StoredEvent:
    at = Stamp(wall=document["wall"], monotonic=document["monotonic"], boot_id=document["boot_id"])
    return StoredEvent(
        epoch=document["epoch"],
        seq=Seq(document["seq"]),
        priority=Priority(document["priority"]),
        kind=document["kind"],
        at=at,
        happened_at=_seconds(document["happened"]),
        received_at=_seconds(document["received"]),
        body=Raw(document["body"]),
    )


def _gap(document: Document) -> DeclaredGap:
    return msgspec.convert({**document, "declared_at": _seconds(document["declared"])}, DeclaredGap)


def _seconds(moment: datetime) -> float:
    return moment.replace(tzinfo=UTC).timestamp()
