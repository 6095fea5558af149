"""Makes a version of a round's global model: safetensors weights, and, where the app exports one, its graph and probe.

Runs in the ServerApp's process. An app that names no export entry point, or whose export fails, gets "weights only"
versions; the reason is the version's warning, and the run goes on.
"""

import hashlib
import re
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import save, save_file

from flip_hub.federation.aggregator.spool import Spool, SpoolFile
from flip_runtime.errors import Rejected
from flip_wire.models import GRAPH, WEIGHTS, FileRef, Manifest, Sha256

if TYPE_CHECKING:
    from flip_hub.federation.aggregator.export import Servable

Arrays = Mapping[str, NDArray[Any]]
Content = bytes | SpoolFile
Files = Mapping[Sha256, Content]
"""By their hash."""


class Version(msgspec.Struct, frozen=True, kw_only=True):
    manifest: Manifest
    """Its `version` is 0 and its `run_id` empty: the hub numbers it."""
    files: Files
    warning: str


class VersionMaker:
    def __init__(self, app_folder: Path, local: Sequence[str] = (), spool: Spool | None = None) -> None:
        """`local`: patterns of the arrays that stay on each device; `spool`: where weights are written, None: in
        memory. Raises `Rejected` when the folder holds no app."""
        project = read_project(app_folder)
        self._app_folder = app_folder
        self._model = model_name(project.project.name)
        self._export = project.tool.flip.export
        self._local = list(local)
        self._spool = spool
        self._servable: Servable | None = None
        self._warning = ""

    def prepare(self) -> None:
        """Exports the graph, once: seconds, and torch's memory, but only where the app asks for it."""
        if not self._export or self._servable or self._warning:
            return
        from flip_hub.federation.aggregator.export import Servable  # torch only where it is needed

        try:
            self._servable = Servable.of(self._export, self._app_folder)
        except Rejected as error:
            self._warning = str(error)

    def make(self, number: int, arrays: Arrays, metrics: dict[str, float]) -> Version:
        """The version of round `number`. Raises `Rejected` when not even the weights can be written."""
        manifest = Manifest(
            model=self._model,
            version=0,
            created_at=time.time(),
            weights=FileRef(name=WEIGHTS, sha256=Sha256(""), size=0),
            round=number,
            metrics=metrics,
            local=self._local,
        )
        if self._servable is None:
            return self._weights_only(manifest, arrays, self._warning)
        try:
            bound = self._servable.bind(arrays)
        except Rejected as error:
            return self._weights_only(manifest, arrays, str(error))
        weights, graph = self._written(bound.weights), self._servable.graph
        manifest = msgspec.structs.replace(
            manifest,
            weights=_file(WEIGHTS, weights),
            graph=_file(GRAPH, graph),
            inputs=bound.inputs,
            outputs=bound.outputs,
            labels=self._servable.labels,
            probe=bound.probe,
        )
        return Version(manifest=manifest, files=_by_hash(graph, weights), warning="")

    def _weights_only(self, manifest: Manifest, arrays: Arrays, warning: str) -> Version:
        weights = self._written(arrays)
        manifest = msgspec.structs.replace(manifest, weights=_file(WEIGHTS, weights))
        return Version(manifest=manifest, files=_by_hash(weights), warning=warning)

    def _written(self, arrays: Arrays) -> Content:
        """As safetensors; on the disk without a copy in memory. Raises `Rejected`."""
        arrays = {name: np.require(array, requirements="C") for name, array in arrays.items()}
        try:
            if self._spool is None:
                return save(arrays)
            return self._spool.written("weights", lambda path: save_file(arrays, path))
        except (SafetensorError, OSError) as error:
            raise Rejected(f"the arrays cannot be written as safetensors: {error}") from error


def _file(name: str, content: Content) -> FileRef:
    size = len(content) if isinstance(content, bytes) else content.size
    return FileRef(name=name, sha256=_sha256(content), size=size)


def _by_hash(*contents: Content) -> Files:
    return {_sha256(content): content for content in contents}


def _sha256(content: Content) -> Sha256:
    found = hashlib.sha256()
    for chunk in (content,) if isinstance(content, bytes) else content.chunks():
        found.update(chunk)
    return Sha256(found.hexdigest())


# ---- the app's pyproject.toml -----------------------------------------------------------------------------------


class _Flip(msgspec.Struct, frozen=True):
    export: str = ""
    evaluate: str = ""


class _Tool(msgspec.Struct, frozen=True):
    flip: _Flip = _Flip()


class _Named(msgspec.Struct, frozen=True):
    name: str


class Project(msgspec.Struct, frozen=True):
    """As much of an app's pyproject.toml as versions and evaluation need."""

    project: _Named
    tool: _Tool = _Tool()


def read_project(app_folder: Path) -> Project:
    """Raises `Rejected` when there is none, or none of an app."""
    path = app_folder / "pyproject.toml"
    try:
        return msgspec.toml.decode(path.read_bytes(), type=Project)
    except (OSError, msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Rejected(f"{path}: {error}") from error


def model_name(app_name: str) -> str:
    """Letters, digits and `._-`, in lower case."""
    return re.sub(r"[^a-z0-9._-]+", "-", app_name.lower()).strip("-._") or "model"
