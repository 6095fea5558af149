"""Datasets over HTTP, for people."""

from typing import Any

from litestar import Controller, Request, Response, delete, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody

from flip_hub.api.pages import Page, Wanted
from flip_hub.artifacts.download import BINARY, download
from flip_hub.auth.guards import needs
from flip_hub.auth.permissions import Permission
from flip_hub.auth.schemas import Me
from flip_hub.datasets.schemas import Dataset, DatasetRequest
from flip_hub.datasets.service import DatasetService


class DatasetController(Controller):
    path = "/api/v1/datasets"
    tags = ("models",)

    @get(guards=[needs(Permission.MODELS_READ)])
    async def list_datasets(
        self, datasets: NamedDependency[DatasetService], wanted: NamedDependency[Wanted]
    ) -> Page[Dataset]:
        """By name."""
        return await datasets.page(wanted)

    @post(guards=[needs(Permission.MODELS_OPERATE)])
    async def add_dataset(
        self, datasets: NamedDependency[DatasetService], me: NamedDependency[Me], data: JSONBody[DatasetRequest]
    ) -> Dataset:
        """Of a file that was uploaded before (`POST /api/v1/uploads`); 409 when the name is taken."""
        return await datasets.add(data, me.username)

    @get("/{name:str}/content", guards=[needs(Permission.MODELS_OPERATE)], media_type=BINARY)
    async def download_dataset(
        self, datasets: NamedDependency[DatasetService], request: Request[Any, Any, Any], name: FromPath[str]
    ) -> Response[Any]:
        """Honours `Range`."""
        found = await datasets.get(name)
        headers = {"Content-Disposition": f'attachment; filename="{found.name}"'}
        return await download(datasets.files, found.sha256, request, headers)

    @delete("/{name:str}", guards=[needs(Permission.MODELS_OPERATE)], status_code=200)
    async def remove_dataset(self, datasets: NamedDependency[DatasetService], name: FromPath[str]) -> Dataset:
        """Its file goes with it, unless another dataset has the same."""
        return await datasets.remove(name)
