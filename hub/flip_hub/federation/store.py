"""Runs and rounds in MongoDB, and the log of a run that has ended: the SuperLink forgets, the hub does not.

Collections: `runs`, `rounds` by run and number, `run_logs`.
"""

import msgspec
from pymongo import ASCENDING, DESCENDING

from flip_hub.api.pages import Order, Page, Wanted
from flip_hub.federation.schemas import Round, Run, RunStatus
from flip_hub.mongo import Database, Document

_NEWEST = Order(("started_at", DESCENDING), ("_id", DESCENDING))
ACTIVE = (RunStatus.PENDING, RunStatus.RUNNING)


class RunStore:
    def __init__(self, database: Database) -> None:
        self._runs = database["runs"]
        self._rounds = database["rounds"]
        self._logs = database["run_logs"]

    # ---- runs ----

    async def save_run(self, run: Run) -> None:
        await self._runs.replace_one({"_id": run.id}, _document(run, run.id), upsert=True)

    async def run(self, run_id: str) -> Run | None:
        return _run(await self._runs.find_one({"_id": run_id}))

    async def run_of_flower(self, flower_run_id: str) -> Run | None:
        """Also by a number that it had before it went on."""
        number = {"$or": [{"flower_run_id": flower_run_id}, {"earlier": flower_run_id}]}
        return _run(await self._runs.find_one(number, sort=[("started_at", DESCENDING)]))

    async def runs(self, wanted: Wanted, status: RunStatus | None) -> Page[Run]:
        """Newest first."""
        return await _NEWEST.read(self._runs, {} if status is None else {"status": status}, wanted, _convert)

    async def newest(self, skip: int, limit: int) -> list[Run]:
        found = self._runs.find().sort("started_at", DESCENDING).skip(skip).limit(limit)
        return [_convert(document) async for document in found]

    async def numbers_of_app(self, app: str, most: int) -> list[str]:
        """Flower's numbers of the newest runs of that app."""
        found = self._runs.find({"app": app}).sort("started_at", DESCENDING).limit(most)
        return [number async for document in found for number in _convert(document).numbers]

    async def active(self) -> list[Run]:
        """Those that may still send messages to devices, oldest first."""
        found = self._runs.find({"status": {"$in": ACTIVE}}).sort("started_at", ASCENDING)
        return [msgspec.convert(document, Run) async for document in found]

    # ---- rounds ----

    async def save_round(self, round: Round) -> None:
        key = {"run_id": round.run_id, "round": round.round}
        await self._rounds.replace_one(key, msgspec.to_builtins(round), upsert=True)

    async def rounds(self, run_id: str) -> list[Round]:
        """By number."""
        found = self._rounds.find({"run_id": run_id}).sort("round", ASCENDING)
        return [msgspec.convert(document, Round) async for document in found]

    # ---- logs ----

    async def save_log(self, run_id: str, text: str) -> None:
        await self._logs.replace_one({"_id": run_id}, {"text": text}, upsert=True)

    async def log(self, run_id: str) -> str:
        document = await self._logs.find_one({"_id": run_id})
        return "" if document is None else document["text"]


def _document(value: Run, key: str) -> Document:
    return {"_id": key, **msgspec.to_builtins(value)}


def _run(document: Document | None) -> Run | None:
    return None if document is None else _convert(document)


def _convert(document: Document) -> Run:
    return msgspec.convert(document, Run)
