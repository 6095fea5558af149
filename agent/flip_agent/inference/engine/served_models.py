"""The models that answer on this device: brought from the store, woken when they are asked for, laid to rest when not.

A version is here only after all its files and its probe were verified, and never after it was condemned.
"""

import asyncio
import logging
import time
from collections.abc import Callable

from msgspec import Struct

from flip_agent.inference.engine.batcher import Batcher, Executed, unheard
from flip_agent.inference.engine.served_model import ServedModel, Version
from flip_agent.inference.engine.waking import Waking
from flip_agent.inference.problems import NotReady, Refusal, Unknown, Unloaded
from flip_agent.memory import give_memory_back, release, trim
from flip_agent.models.store import ModelStore
from flip_runtime.errors import FlipError, Rejected
from flip_wire.health import Condition, Severity
from flip_wire.models import Sha256

log = logging.getLogger(__name__)

_ALARMS = 64


class VersionState(Struct, frozen=True, kw_only=True):
    """For the index of the model repository."""

    model: str
    version: int
    ready: bool
    """Also while it is asleep: it answers on demand."""
    reason: str
    """Why not, if not."""


class ServedModels:
    """Used on the event loop; files are read and sessions are built in threads."""

    def __init__(
        self,
        store: ModelStore,
        *,
        max_rows: int,
        max_queue: int,
        executed: Executed = unheard,
        condemned: Callable[[Sha256], str] = lambda _: "",
        holds: Callable[[str], bool] = lambda _: True,
        own: Callable[[Version], Version] = lambda version: version,
    ) -> None:
        """`condemned` says why a version must not answer here, by its manifest; `holds`: whether a model of that name
        belongs to this process; `own`: makes of a loaded version what this device serves, in a thread."""
        self._store = store
        self.max_rows = max_rows
        """Of one batch."""
        self._max_queue = max_queue
        self._executed = executed
        self._condemned = condemned
        self._holds = holds
        self._own = own
        self._models: dict[str, ServedModel] = {}
        self._waking = Waking(self.opened, self.alarm_damaged, max_asking=max_queue)
        self.alarms: asyncio.Queue[Condition] = asyncio.Queue(_ALARMS)
        """What people must be told; the newest are left out when nobody takes them."""
        self.loaded = False
        """What the store holds has been looked at."""
        self.built = asyncio.Event()
        """Set whenever sessions were built."""

    # ---- asked by requests ----

    @property
    def names(self) -> list[str]:
        return sorted(name for name, model in self._models.items() if model.active is not None)

    @property
    def all(self) -> list[ServedModel]:
        """Those that have an active version."""
        return [self._models[name] for name in self.names]

    @property
    def active(self) -> list[Version]:
        return [model.active for model in self._models.values() if model.active is not None]

    def check_ready(self) -> None:
        """Raises `NotReady`."""
        if not self.loaded:
            raise NotReady("the models are being loaded", hint="try again in a moment")
        if not self.names:
            raise NotReady("no model is there yet", hint="one arrives when the hub has promoted a version")

    def find(self, name: str, version: str | None = None) -> tuple[ServedModel, Version]:
        """The active version by default; it may be asleep. Raises `NotReady`, `Unknown` or `Unloaded`."""
        model = self._models.get(name)
        if model is None or model.active is None:
            self.check_ready()
            raise Unknown(f"no model '{name[:100]}'", hint=f"this device serves {self.names}")
        if model.unloaded:
            raise Unloaded(f"model '{name}' is unloaded", hint=f"load it: POST /v2/repository/models/{name}/load")
        if version is None:
            return model, model.active
        for candidate in model.answering:
            if str(candidate.manifest.version) == version:
                return model, candidate
        known = [str(candidate.manifest.version) for candidate in model.answering]
        raise Unknown(f"no version '{version[:100]}' of model '{name}'", hint=f"this device serves {known}")

    async def awake(self, name: str, version: str | None = None) -> tuple[ServedModel, Version]:
        """As `find`, but loaded: a call for a model that sleeps waits. Raises `Expired` and `QueueFull` too."""
        model, found = self.find(name, version)
        model.used = time.monotonic()
        while found.loaded is None:
            await self._waking.wake(model, found)
            model, found = self.find(name, version)  # another one may have taken over meanwhile
        return model, found

    def only(self) -> str:
        """The name of the only model. Raises `NotReady`, or `Refusal` when there are several."""
        self.check_ready()
        if len(self.names) > 1:
            raise Refusal(f"this device serves {self.names}", hint="name one: POST /predict/MODEL")
        return self.names[0]

    def states(self) -> list[VersionState]:
        """Of each model the active version, then the one before."""
        return [
            VersionState(
                model=model.name,
                version=version.manifest.version,
                ready=not model.unloaded,
                reason="unloaded" if model.unloaded else "",
            )
            for model in self.all
            for version in model.answering
        ]

    # ---- loaded and unloaded by calls ----

    async def load_model(self, name: str) -> None:
        """Returns when it answers. Raises `Unknown`, or `NotReady` with the reason why it cannot be loaded."""
        model = self._models.get(name)
        if model is not None and model.active is not None:
            model.unloaded = False
        elif name not in self._store.models() or not self._holds(name):
            raise Unknown(f"no model '{name[:100]}'", hint=f"this device has {self._store.models()}")
        else:
            await self._bring(name)
        if name not in self.names:
            raise NotReady(f"model '{name}' cannot be loaded", hint="flip-agent status says why")
        await self.awake(name)

    async def unload_model(self, name: str) -> None:
        """Its sessions are given back, and it answers nothing until it is loaded or another version takes over."""
        try:
            model, _ = self.find(name)
        except Unloaded:
            return
        model.unloaded = True
        model.sleep()
        log.info("unloaded", extra={"model": name})
        await asyncio.to_thread(release)

    # ---- told by `flip-agent run`, and by the guard ----

    async def load(self) -> None:
        """Serves each model's active version; where that is damaged or condemned, the previous one."""
        names = [name for name in self._store.models() if self._holds(name)]
        for name in names:
            await self._bring(name)
        self.loaded = True
        for name in names:
            await self._bring_previous(name)
        await asyncio.to_thread(give_memory_back)

    async def prepare(self, name: str, version: int, sha256: Sha256) -> None:
        """Builds the version and compares its probe, while the earlier one goes on answering.

        Raises `Corrupt` (its files are damaged) or `Rejected` (it must not be served).
        """
        if reason := self._condemned(sha256):
            raise Rejected(f"rolled back: {reason}")
        model = self._model(name)
        if (known := model.find(sha256)) is not None and known.loaded is not None:
            return
        try:
            opened = await self.opened(name, sha256)
        finally:
            await asyncio.to_thread(trim)
        if opened.manifest.version != version:
            raise Rejected(f"manifest {sha256[:12]} is of version {opened.manifest.version}, not {version}")
        if known is None:
            model.prepared = opened
        else:
            model.woken(opened)

    async def activate(self, name: str, version: int) -> None:
        """From the next request on. Raises `Rejected` unless it is prepared, or is the version before."""
        model = self._model(name)
        chosen = next((known for known in model.known if known.manifest.version == version), None)
        if chosen is None or self._condemned(chosen.sha256):
            raise Rejected(f"version {version} of {name} is not prepared")
        if chosen is not model.active:
            model.take_over(chosen)
            model.used = time.monotonic()
            log.info("swapped", extra={"model": name, "version": version})
            await asyncio.to_thread(release)

    async def give_up(self, name: str, sha256: Sha256) -> None:
        """A condemned version answers nothing any more, if there is one before it."""
        model = self._model(name)
        model.give_up(sha256)
        await asyncio.to_thread(release)

    def close(self) -> None:
        for model in self._models.values():
            model.batcher.close()

    def alarm(self, condition: Condition) -> None:
        if not self.alarms.full():
            self.alarms.put_nowait(condition)

    def _model(self, name: str) -> ServedModel:
        if (model := self._models.get(name)) is None:
            batcher = Batcher(name, max_rows=self.max_rows, max_queue=self._max_queue, executed=self._executed)
            model = self._models[name] = ServedModel(name, batcher)
        return model

    async def _bring(self, name: str) -> None:
        active, previous = self._store.active(name), self._store.previous(name)
        for sha256 in (active, previous):
            if sha256 is not None and (version := await self._usable(name, sha256)) is not None:
                self._model(name).active = version
                extra = {"model": name, "version": version.manifest.version}
                log.info("serving" if sha256 == active else "serving the previous version", extra=extra)
                return

    async def _bring_previous(self, name: str) -> None:
        model, previous = self._models.get(name), self._store.previous(name)
        if model is None or previous is None or model.find(previous) is not None or model.previous is not None:
            return
        model.previous = await self._usable(name, previous)

    async def _usable(self, name: str, sha256: Sha256) -> Version | None:
        if reason := self._condemned(sha256):
            log.warning("stored version stays rolled back", extra={"model": name, "reason": reason})
            return None
        try:
            return await self.opened(name, sha256)
        except FlipError as error:
            self.alarm_damaged(name, error)
            return None

    async def opened(self, name: str, sha256: Sha256) -> Version:
        """As this device serves it. Raises `Corrupt` or `Rejected`."""
        try:
            return await asyncio.to_thread(lambda: self._own(Version.open(self._store, name, sha256)))
        finally:
            self.built.set()

    def alarm_damaged(self, name: str, error: FlipError) -> None:
        log.error("stored version refused", extra={"model": name, "reason": str(error)})
        self.alarm(
            Condition(
                code="model-refused",
                title="A stored model version cannot be served",
                severity=Severity.CRITICAL,
                text=f"{name}: {error}",
                since=time.time(),
            )
        )
