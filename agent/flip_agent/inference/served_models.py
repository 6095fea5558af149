"""The models that answer now: per model the active version, the one before it, and one that is prepared.

A version is here only after all its files and its probe were verified. Versions change between batches, and each
request keeps the version that it was checked against.
"""

import asyncio
import ctypes
import logging
import time
from dataclasses import dataclass

from flip_agent.inference.batcher import Batcher
from flip_agent.inference.predictor import Predictor, load_version
from flip_agent.inference.problems import NotReady, Refusal, Unknown
from flip_agent.models.store import ModelStore
from flip_runtime.errors import Corrupt, FlipError, Rejected
from flip_wire.health import Condition, Severity
from flip_wire.models import Manifest, Sha256

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Version:
    sha256: Sha256
    """Of its manifest."""
    predictor: Predictor
    since: float

    @property
    def manifest(self) -> Manifest:
        return self.predictor.manifest


@dataclass(slots=True)
class ServedModel:
    name: str
    batcher: Batcher
    """All versions share the queue and the worker thread."""
    active: Version | None = None
    previous: Version | None = None
    prepared: Version | None = None

    @property
    def answering(self) -> list[Version]:
        return [version for version in (self.active, self.previous) if version is not None]

    @property
    def known(self) -> list[Version]:
        return self.answering if self.prepared is None else [self.prepared, *self.answering]


class ServedModels:
    """Used on the event loop; files are read and sessions are built in threads."""

    def __init__(self, store: ModelStore, *, max_rows: int, max_queue: int) -> None:
        self._store = store
        self._max_rows = max_rows
        self._max_queue = max_queue
        self._models: dict[str, ServedModel] = {}
        self.damaged: list[Condition] = []
        """Versions of the store that could not be served when this process started."""
        self.loaded = False
        """What the store holds has been looked at."""

    # ---- asked by requests ----

    @property
    def names(self) -> list[str]:
        return sorted(name for name, model in self._models.items() if model.active is not None)

    def check_ready(self) -> None:
        """Raises `NotReady`."""
        if not self.loaded:
            raise NotReady("the models are being loaded", hint="try again in a moment")
        if not self.names:
            raise NotReady("no model is there yet", hint="one arrives when the hub has promoted a version")

    def find(self, name: str, version: str | None = None) -> tuple[ServedModel, Version]:
        """The active version by default. Raises `NotReady` or `Unknown`."""
        model = self._models.get(name)
        if model is None or model.active is None:
            self.check_ready()
            raise Unknown(f"no model '{name[:100]}'", hint=f"this device serves {self.names}")
        if version is None:
            return model, model.active
        for candidate in model.answering:
            if str(candidate.manifest.version) == version:
                return model, candidate
        known = [str(candidate.manifest.version) for candidate in model.answering]
        raise Unknown(f"no version '{version[:100]}' of model '{name}'", hint=f"this device serves {known}")

    def only(self) -> str:
        """The name of the only model. Raises `NotReady`, or `Refusal` when there are several."""
        self.check_ready()
        if len(self.names) > 1:
            raise Refusal(f"this device serves {self.names}", hint="name one: POST /predict/MODEL")
        return self.names[0]

    # ---- told by `flip-agent run` ----

    @property
    def active(self) -> list[Version]:
        return [model.active for model in self._models.values() if model.active is not None]

    async def load(self) -> None:
        """Serves each model's active version; where that is damaged, the previous one."""
        for name in self._store.models():
            active, previous = self._store.active(name), self._store.previous(name)
            for sha256 in (active, previous):
                if sha256 is not None and (version := await self._open(name, sha256)) is not None:
                    self._model(name).active = version
                    extra = {"model": name, "version": version.manifest.version}
                    log.info("serving" if sha256 == active else "serving the previous version", extra=extra)
                    break
        self.loaded = True
        await asyncio.to_thread(_trim_memory)

    async def prepare(self, name: str, version: int, sha256: Sha256) -> None:
        """Builds the version and compares its probe, while the earlier one goes on answering.

        Raises `Corrupt` (its files are damaged) or `Rejected` (it must not be served).
        """
        model = self._model(name)
        if any(known.sha256 == sha256 for known in model.known):
            return
        try:
            opened = await asyncio.to_thread(_open_version, self._store, name, sha256)
        finally:
            await asyncio.to_thread(_trim_memory)
        if opened.manifest.version != version:
            raise Rejected(f"manifest {sha256[:12]} is of version {opened.manifest.version}, not {version}")
        model.prepared = opened

    async def activate(self, name: str, version: int) -> None:
        """From the next request on. Raises `Rejected` unless it is prepared, or is the version before."""
        model = self._model(name)
        chosen = next((known for known in model.known if known.manifest.version == version), None)
        if chosen is None:
            raise Rejected(f"version {version} of {name} is not prepared")
        if chosen is not model.active:
            before = model.active
            model.active = Version(chosen.sha256, chosen.predictor, time.time())
            model.previous = before or model.previous
            model.prepared = None
            log.info("swapped", extra={"model": name, "version": version})
            await asyncio.to_thread(_trim_memory)

    def close(self) -> None:
        for model in self._models.values():
            model.batcher.close()

    def _model(self, name: str) -> ServedModel:
        if (model := self._models.get(name)) is None:
            batcher = Batcher(name, max_rows=self._max_rows, max_queue=self._max_queue)
            model = self._models[name] = ServedModel(name, batcher)
        return model

    async def _open(self, name: str, sha256: Sha256) -> Version | None:
        try:
            return await asyncio.to_thread(_open_version, self._store, name, sha256)
        except FlipError as error:
            log.error("stored version refused", extra={"model": name, "reason": str(error)})
            self.damaged.append(
                Condition(
                    code="model-refused",
                    title="A stored model version cannot be served",
                    severity=Severity.CRITICAL,
                    text=f"{name}: {error}",
                    since=time.time(),
                )
            )
            return None


def _open_version(store: ModelStore, name: str, sha256: Sha256) -> Version:
    try:
        predictor = load_version(store, sha256)
    except OSError as error:
        raise Corrupt(f"files of manifest {sha256[:12]} cannot be read: {error.strerror}") from error
    if predictor.manifest.model != name:
        raise Rejected(f"manifest {sha256[:12]} is of model '{predictor.manifest.model[:100]}', not {name}")
    return Version(sha256, predictor, time.time())


def _trim_memory() -> None:
    """Gives back what loading and a replaced version took: else RSS grows by 30 % over 240 swaps. glibc only."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
