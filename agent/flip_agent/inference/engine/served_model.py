"""One model on this device: the version that answers, the one before it, one that is prepared; and who takes over.

A version whose sessions were given back is asleep: it is known, and must be loaded before it answers again. Versions
change by one assignment, between batches; a call keeps the version that it was found with.
"""

import asyncio
import time
from dataclasses import dataclass, field, replace

from flip_agent.inference.engine.batcher import Batcher
from flip_agent.inference.engine.predictor import Predictor, load_version
from flip_agent.inference.problems import NotReady
from flip_agent.models.store import ModelStore
from flip_agent.own_parts import Stamp
from flip_runtime.errors import Corrupt, Rejected
from flip_wire.models import LocalParts, Manifest, Sha256


@dataclass(frozen=True, slots=True)
class Version:
    sha256: Sha256
    """Of its manifest."""
    manifest: Manifest
    since: float
    """When it was loaded, or took over."""
    loaded: Predictor | None
    """None while it is asleep."""
    local: LocalParts | None = None
    """What answers in the place of its local parts, as it was loaded last; None where it has none."""
    stamp: Stamp | None = None
    """Of the file that this is from."""

    @classmethod
    def open(cls, store: ModelStore, model: str, sha256: Sha256) -> "Version":
        """Verified and loaded; for a thread. Raises `Corrupt` or `Rejected`."""
        try:
            predictor = load_version(store, sha256)
        except OSError as error:
            raise Corrupt(f"files of manifest {sha256[:12]} cannot be read: {error.strerror}") from error
        if predictor.manifest.model != model:
            raise Rejected(f"manifest {sha256[:12]} is of model '{predictor.manifest.model[:100]}', not {model}")
        return cls(sha256, predictor.manifest, time.time(), predictor)

    @property
    def predictor(self) -> Predictor:
        """Raises `NotReady` while it is asleep."""
        if self.loaded is None:
            raise NotReady(f"model '{self.manifest.model}' is asleep", hint="try again in a moment")
        return self.loaded

    @property
    def asleep(self) -> "Version":
        """Without its sessions: for those who keep it only to name it."""
        return replace(self, loaded=None)


@dataclass(slots=True)
class ServedModel:
    name: str
    batcher: Batcher
    """All versions share the queue and the worker thread."""
    active: Version | None = None
    previous: Version | None = None
    prepared: Version | None = None
    unloaded: bool = False
    """Somebody said so; it stays until somebody loads it, or another version takes over."""
    used: float = field(default_factory=time.monotonic)
    """When it was last asked for; of `time.monotonic`."""
    swaps: int = 0
    rollbacks: int = 0
    loading: asyncio.Lock = field(default_factory=asyncio.Lock)
    """Held while a version of it is woken: calls that come together share one load."""
    asking: int = 0
    """Calls that wait for it to wake."""
    attempts: int = 0
    """To wake it, so far."""
    trouble: str = ""
    """Why the last one failed."""

    @property
    def answering(self) -> list[Version]:
        return [version for version in (self.active, self.previous) if version is not None]

    @property
    def known(self) -> list[Version]:
        return self.answering if self.prepared is None else [self.prepared, *self.answering]

    @property
    def awake(self) -> bool:
        return any(version.loaded is not None for version in self.known)

    def take_over(self, chosen: Version) -> None:
        """`chosen` answers from now on; the version that did so far is the one before."""
        self.previous = self.active or self.previous
        self.active = replace(chosen, since=time.time())
        self.prepared = None
        self.unloaded = False
        self.swaps += 1

    def give_up(self, condemned: Sha256) -> None:
        """That version answers nothing any more. Where it is the active one, the version before takes over; without
        one it goes on."""
        if self.prepared is not None and self.prepared.sha256 == condemned:
            self.prepared = None
        if self.previous is not None and self.previous.sha256 == condemned:
            self.previous = None
        if self.active is not None and self.active.sha256 == condemned and self.previous is not None:
            self.active, self.previous = replace(self.previous, since=time.time()), None
            self.rollbacks += 1

    def find(self, sha256: Sha256) -> Version | None:
        return next((version for version in self.known if version.sha256 == sha256), None)

    def woken(self, version: Version) -> None:
        """Takes its place again, if it still has one."""
        if self.active is not None and self.active.sha256 == version.sha256:
            self.active = replace(version, since=self.active.since)
        elif self.previous is not None and self.previous.sha256 == version.sha256:
            self.previous = replace(version, since=self.previous.since)

    def sleep(self) -> None:
        """Gives the sessions back as soon as the calls that have them are answered."""
        self.active = None if self.active is None else self.active.asleep
        self.previous = None if self.previous is None else self.previous.asleep
