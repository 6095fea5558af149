"""The registry of datasets: a file is stored before its name is, and removed after the last name of it."""

import asyncio
import time

from flip_hub.api.pages import Page, Wanted
from flip_hub.artifacts.artifacts import Artifacts
from flip_hub.datasets.schemas import Dataset, DatasetRequest
from flip_hub.datasets.store import DatasetStore
from flip_hub.names import check_name
from flip_hub.problem import Conflict, NotFound, Unprocessable
from flip_hub.uploads.service import Uploads
from flip_wire.models import Sha256

_LONGEST = 1000


class DatasetService:
    def __init__(self, store: DatasetStore, files: Artifacts, uploads: Uploads) -> None:
        """`files` holds theirs alone."""
        self._store = store
        self.files = files
        self._uploads = uploads
        self._changing = asyncio.Lock()

    async def add(self, request: DatasetRequest, username: str) -> Dataset:
        """Of an upload of that user. Raises `Unprocessable`, `NotFound`, or `Conflict` when the name is taken."""
        check_name(request.name, of="dataset")
        if len(request.description) > _LONGEST:
            raise Unprocessable(f"the description has more than {_LONGEST:,} characters")
        if await self._store.get(request.name) is not None:
            raise _taken(request.name)
        async with self._changing:
            upload = await self._uploads.store(username, request.upload, self.files)
            assert upload.sha256 is not None
            dataset = Dataset(
                name=request.name,
                sha256=upload.sha256,
                size=upload.size,
                description=request.description,
                added_by=username,
                added_at=time.time(),
            )
            if not await self._store.add(dataset):
                await self._remove_unnamed(dataset.sha256)
                raise _taken(request.name)
        await self._uploads.remove(username, request.upload)
        return dataset

    async def page(self, wanted: Wanted) -> Page[Dataset]:
        """By name."""
        return await self._store.page(wanted)

    async def get(self, name: str) -> Dataset:
        """Raises `NotFound`."""
        return _found(await self._store.get(name), name)

    async def remove(self, name: str) -> Dataset:
        """Raises `NotFound`."""
        async with self._changing:
            dataset = _found(await self._store.remove(name), name)
            await self._remove_unnamed(dataset.sha256)
        return dataset

    async def _remove_unnamed(self, sha256: Sha256) -> None:
        if not await self._store.names(sha256):
            await self.files.remove(sha256)


def _found(dataset: Dataset | None, name: str) -> Dataset:
    if dataset is None:
        raise NotFound(f"no dataset {name[:80]!r}", hint="GET /api/v1/datasets lists them")
    return dataset


def _taken(name: str) -> Conflict:
    return Conflict(f"there is a dataset {name!r} already", hint="choose another name, or DELETE that one first")
