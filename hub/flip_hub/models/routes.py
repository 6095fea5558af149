"""Models over HTTP: for people, and the files that devices fetch, resumable at any byte."""

import time
from typing import Any

from litestar import Controller, Request, Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, JSONBody

from flip_hub.api.pages import Page, Wanted
from flip_hub.artifacts.artifacts import Artifacts
from flip_hub.artifacts.download import BINARY, download
from flip_hub.auth.guards import device_guard, needs
from flip_hub.auth.permissions import Permission
from flip_hub.auth.schemas import Me
from flip_hub.models.deltas import Deltas
from flip_hub.models.inspection import inspect_files
from flip_hub.models.schemas import Model, ModelVersion, VersionRequest
from flip_hub.models.service import ModelService
from flip_hub.problem import NotFound
from flip_hub.uploads.schemas import Upload
from flip_hub.uploads.service import Uploads
from flip_wire.file_delta import FileDelta
from flip_wire.models import GRAPH, WEIGHTS, FileRef, Manifest, Sha256


class ModelController(Controller):
    """For people."""

    path = "/api/v1/models"
    tags = ("models",)

    @get(guards=[needs(Permission.MODELS_READ)])
    async def list_models(self, models: NamedDependency[ModelService], wanted: NamedDependency[Wanted]) -> Page[Model]:
        """By name."""
        return await models.models(wanted)

    @get("/{name:str}/versions", guards=[needs(Permission.MODELS_READ)])
    async def list_versions(
        self,
        models: NamedDependency[ModelService],
        name: FromPath[str],
        wanted: NamedDependency[Wanted],
        run: FromQuery[str | None] = None,
    ) -> Page[ModelVersion]:
        """Newest first; with `run`, those that this run has made."""
        return await models.versions(name, wanted, run)

    @post("/{name:str}/versions", guards=[needs(Permission.MODELS_OPERATE)])
    async def register_version(
        self,
        models: NamedDependency[ModelService],
        artifacts: NamedDependency[Artifacts],
        uploads: NamedDependency[Uploads],
        me: NamedDependency[Me],
        name: FromPath[str],
        data: JSONBody[VersionRequest],
    ) -> ModelVersion:
        """Of files that were uploaded before (`POST /api/v1/uploads`); the hub signs it, as it does those of runs."""
        models.check_name(name)
        await inspect_files(
            await uploads.file(me.username, data.weights),
            None if data.graph is None else await uploads.file(me.username, data.graph),
        )
        weights = await uploads.store(me.username, data.weights, artifacts)
        graph = None if data.graph is None else await uploads.store(me.username, data.graph, artifacts)
        made = await models.register(
            Manifest(
                model=name,
                version=0,
                created_at=time.time(),
                weights=_file(WEIGHTS, weights),
                graph=None if graph is None else _file(GRAPH, graph),
                inputs=data.inputs,
                outputs=data.outputs,
                labels=data.labels,
                probe=data.probe,
                metrics=data.metrics,
            )
        )
        for upload in {weights.id} | (set[str]() if graph is None else {graph.id}):
            await uploads.remove(me.username, upload)
        return made

    @get(
        "/{name:str}/versions/{version:int}/files/{file:str}",
        guards=[needs(Permission.MODELS_READ)],
        media_type=BINARY,
    )
    async def download_file(
        self,
        models: NamedDependency[ModelService],
        artifacts: NamedDependency[Artifacts],
        request: Request[Any, Any, Any],
        name: FromPath[str],
        version: FromPath[int],
        file: FromPath[str],
    ) -> Response[Any]:
        """Honours `Range`."""
        found = await models.file(name, version, file)
        headers = {"Content-Disposition": f'attachment; filename="{name}-{version}-{found.name}"'}
        return await download(artifacts, found.sha256, request, headers)

    @post("/{name:str}/versions/{version:int}/promote", guards=[needs(Permission.MODELS_OPERATE)], status_code=200)
    async def promote_version(
        self, models: NamedDependency[ModelService], name: FromPath[str], version: FromPath[int]
    ) -> ModelVersion:
        """From now on this is what devices shall serve; 409 when it cannot be served."""
        return await models.promote(name, version)


class DeviceArtifactController(Controller):
    """For devices: manifests and files of registered versions, and what makes one of another."""

    path = "/api/v1/device/artifacts"
    tags = ("device",)
    guards = (device_guard,)

    @get("/{sha256:str}", media_type=BINARY)
    async def fetch(
        self,
        models: NamedDependency[ModelService],
        artifacts: NamedDependency[Artifacts],
        deltas: NamedDependency[Deltas],
        request: Request[Any, Any, Any],
        sha256: FromPath[str],
    ) -> Response[Any]:
        """Honours `Range`, so that a download goes on where it stopped; the ETag is the hash."""
        if await models.offers(Sha256(sha256)):
            return await download(artifacts, Sha256(sha256), request, {})
        if await deltas.holds(Sha256(sha256)):
            return await download(deltas.files, Sha256(sha256), request, {})
        raise NotFound("no file of a registered model version has this hash")

    @get("/{sha256:str}/delta/{base:str}")
    async def fetch_delta(
        self, deltas: NamedDependency[Deltas], sha256: FromPath[str], base: FromPath[str]
    ) -> FileDelta:
        """What makes this file of the `base` that a device holds; 404 where nothing smaller than the file does."""
        return await deltas.delta(Sha256(sha256), Sha256(base))


def _file(name: str, upload: Upload) -> FileRef:
    assert upload.sha256 is not None
    return FileRef(name=name, sha256=upload.sha256, size=upload.size)
