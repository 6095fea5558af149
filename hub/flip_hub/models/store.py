"""Versions of models in MongoDB: numbers grow by one per model, and a round of a run makes one version of a model.

Collections: `model_versions`, a document per version, never changed; `promotions`, a document per model that names
the version devices are meant to serve; `withdrawals`, a document per version that a rollout went back from.
"""

import time
from dataclasses import dataclass
from typing import Any

import msgspec
from msgspec import Struct
from pymongo import ASCENDING, DESCENDING
from pymongo.errors import DuplicateKeyError

from flip_hub.api.pages import Order, Page, Wanted
from flip_hub.models.schemas import Model, ModelVersion
from flip_hub.mongo import Database, Document
from flip_wire.models import Manifest, Sha256

_LATEST = Order(("manifest.version", DESCENDING))
_BY_NAME = Order(("_id", ASCENDING))
OF_RUN = 1000
"""Versions that one run makes at most, or the newest of them."""


class VersionRecord(Struct, frozen=True, kw_only=True):
    """A document of `model_versions`."""

    manifest_sha256: Sha256
    manifest: Manifest
    artifacts: list[Sha256]
    """The manifest's own hash and those of its files."""
    signatures: dict[str, str] = {}


class Withdrawal(Struct, frozen=True, kw_only=True):
    """A document of `withdrawals`, under the manifest's hash."""

    model: str
    version: int
    reason: str
    at: float


@dataclass(frozen=True)
class _Marks:
    """What is known of versions beside the versions themselves."""

    promoted: dict[str, int]
    withdrawn: dict[Sha256, str]

    def shown(self, document: Document) -> ModelVersion:
        version = msgspec.convert(document, VersionRecord)
        manifest = version.manifest
        return ModelVersion(
            model=manifest.model,
            version=manifest.version,
            manifest_sha256=version.manifest_sha256,
            manifest=manifest,
            deployable=manifest.deployable,
            promoted=self.promoted.get(manifest.model) == manifest.version,
            signatures=version.signatures,
            withdrawn=self.withdrawn.get(version.manifest_sha256, ""),
        )


class ModelStore:
    def __init__(self, database: Database) -> None:
        self._versions = database["model_versions"]
        self._promotions = database["promotions"]
        self._withdrawals = database["withdrawals"]

    async def latest(self, model: str) -> int:
        """The highest number given; 0 before the first."""
        document = await self._versions.find_one(
            {"manifest.model": model}, {"manifest.version": 1}, sort=[("manifest.version", DESCENDING)]
        )
        return 0 if document is None else document["manifest"]["version"]

    async def add(self, manifest: Manifest, manifest_sha256: Sha256, signatures: dict[str, str]) -> bool:
        """False when its number is taken, or when its run's round has made a version of this model already."""
        version = VersionRecord(
            manifest_sha256=manifest_sha256,
            manifest=manifest,
            artifacts=[manifest_sha256, *(file.sha256 for file in manifest.files)],
            signatures=signatures,
        )
        try:
            await self._versions.insert_one(msgspec.to_builtins(version))
        except DuplicateKeyError:
            return False
        return True

    async def get(self, model: str, version: int) -> ModelVersion | None:
        if version >= 2**63:
            return None  # MongoDB has no such numbers
        return await self._one({"manifest.model": model, "manifest.version": version})

    async def of_round(self, run_id: str, round: int, model: str) -> ModelVersion | None:
        return await self._one({"manifest.run_id": run_id, "manifest.round": round, "manifest.model": model})

    async def of_model(self, model: str, wanted: Wanted, run_id: str | None) -> Page[ModelVersion]:
        """Newest first."""
        where = {"manifest.model": model} if run_id is None else {"manifest.model": model, "manifest.run_id": run_id}
        return await _LATEST.read(self._versions, where, wanted, (await self._marks()).shown)

    async def of_run(self, run_id: str) -> list[ModelVersion]:
        """Newest first."""
        marks = await self._marks()
        found = self._versions.find({"manifest.run_id": run_id}).sort("manifest.version", DESCENDING).limit(OF_RUN)
        return [marks.shown(document) async for document in found]

    async def names(self, artifact: Sha256) -> bool:
        """Whether it is the manifest or a file of a version."""
        return await self._versions.find_one({"artifacts": artifact}, {"_id": 1}) is not None

    async def succeeds(self, artifact: Sha256, base: Sha256) -> bool:
        """Whether both are the same file of two versions of one model: the weights of each, or the graph of each."""
        for file in ("weights", "graph"):
            first, second = ({"artifacts": each, f"manifest.{file}.sha256": each} for each in (artifact, base))
            models = await self._versions.distinct("manifest.model", first)
            if await self._versions.find_one({**second, "manifest.model": {"$in": models}}, {"_id": 1}) is not None:
                return True
        return False

    async def models(self, wanted: Wanted) -> Page[Model]:
        """By name."""
        promoted = await self._promoted()
        stages: list[dict[str, Any]] = [
            {
                "$group": {
                    "_id": "$manifest.model",
                    "versions": {"$sum": 1},
                    "latest": {"$max": "$manifest.version"},
                    "updated_at": {"$max": "$manifest.created_at"},
                }
            },
            {"$match": _BY_NAME.where({}, wanted)},
            {"$sort": {"_id": 1}},
            {"$limit": wanted.limit + 1},
        ]

        def model(group: Document) -> Model:
            return msgspec.convert({**group, "name": group["_id"], "promoted": promoted.get(group["_id"])}, Model)

        return _BY_NAME.page([group async for group in self._versions.aggregate(stages)], wanted, model)

    async def promote(self, model: str, version: int) -> None:
        change = {"$set": {"version": version, "at": time.time()}}
        await self._promotions.update_one({"_id": model}, change, upsert=True)

    async def promoted(self, model: str) -> int | None:
        return (await self._promoted()).get(model)

    async def withdraw(self, made: ModelVersion, reason: str, at: float) -> None:
        """The first reason stays."""
        record = Withdrawal(model=made.model, version=made.version, reason=reason, at=at)
        key = {"_id": made.manifest_sha256}
        await self._withdrawals.update_one(key, {"$setOnInsert": msgspec.to_builtins(record)}, upsert=True)

    async def reinstate(self, made: ModelVersion) -> None:
        await self._withdrawals.delete_one({"_id": made.manifest_sha256})

    async def _one(self, where: Document) -> ModelVersion | None:
        document = await self._versions.find_one(where)
        return None if document is None else (await self._marks()).shown(document)

    async def _marks(self) -> _Marks:
        withdrawn = {document["_id"]: document["reason"] async for document in self._withdrawals.find()}
        return _Marks(await self._promoted(), withdrawn)

    async def _promoted(self) -> dict[str, int]:
        return {document["_id"]: document["version"] async for document in self._promotions.find()}
