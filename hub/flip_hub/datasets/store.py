"""Datasets in MongoDB. Collection: `datasets` by name."""

import msgspec
from pymongo import ASCENDING
from pymongo.errors import DuplicateKeyError

from flip_hub.api.pages import Order, Page, Wanted
from flip_hub.datasets.schemas import Dataset
from flip_hub.mongo import Database, Document
from flip_wire.models import Sha256

_BY_NAME = Order(("_id", ASCENDING))


class DatasetStore:
    def __init__(self, database: Database) -> None:
        self._datasets = database["datasets"]

    async def add(self, dataset: Dataset) -> bool:
        """False when its name is taken."""
        try:
            await self._datasets.insert_one({"_id": dataset.name, **msgspec.to_builtins(dataset)})
        except DuplicateKeyError:
            return False
        return True

    async def get(self, name: str) -> Dataset | None:
        return _found(await self._datasets.find_one({"_id": name}))

    async def page(self, wanted: Wanted) -> Page[Dataset]:
        """By name."""
        return await _BY_NAME.read(self._datasets, {}, wanted, _dataset)

    async def remove(self, name: str) -> Dataset | None:
        """The one that was removed."""
        return _found(await self._datasets.find_one_and_delete({"_id": name}))

    async def names(self, sha256: Sha256) -> bool:
        """Whether it is the file of a dataset."""
        return await self._datasets.find_one({"sha256": sha256}, {"_id": 1}) is not None


def _found(document: Document | None) -> Dataset | None:
    return None if document is None else _dataset(document)


def _dataset(document: Document) -> Dataset:
    return msgspec.convert(document, Dataset)
