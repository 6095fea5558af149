"""Back to the version before, by a person's word or `serve`'s verdict; and what was refused is not brought again.

First the refusal is on the disk, then `active` is turned back, in one step (`ModelStore.roll_back`); the rest follows
from these two, after a power cut as well: `settle` finishes what was begun, `run` tells the hub of each rollback once
and has `serve` answer with what is active. It needs neither hub nor `serve`.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Sequence

from msgspec.structs import replace

from flip_agent.inference_peers import InferencePeers
from flip_agent.local.messages import KeptModel, RefusedVersion, RollbackDone, RolledBack
from flip_agent.models.refused_file import Refusal, RefusedFile
from flip_agent.models.store import ModelStore
from flip_agent.reported import Reported
from flip_agent.watched import Watched, first_of
from flip_runtime.backoff import Backoff
from flip_runtime.errors import Corrupt, Rejected, Unavailable
from flip_wire import models as wire
from flip_wire.models import ModelAssignment, Sha256

log = logging.getLogger(__name__)

ANSWERS_WITHIN = 60.0
"""Seconds that a person waits for `serve` to take the earlier version; it goes on without them."""

Tell = Callable[[wire.RolledBack, str], Awaitable[None]]
"""Puts the event into the outbox; of two with the same name only the first. Raises `Unavailable`."""


class Rollbacks:
    def __init__(
        self,
        store: ModelStore,
        refused: RefusedFile,
        inference: InferencePeers,
        reported: Reported,
        tell: Tell,
        backoff: Backoff | None = None,
    ) -> None:
        self._store = store
        self._refused = refused
        self._inference = inference
        self._reported = reported
        self._tell = tell
        self._backoff = backoff or Backoff(most=60.0)
        self.changes = Watched(0)
        """Grows when a person or `serve` has changed what may be brought."""

    # ---- what the rollout asks and says ----

    def refusal(self, manifest: Sha256) -> Refusal | None:
        return self._refused.of(manifest)

    def refuse(self, wanted: ModelAssignment, reason: str) -> None:
        """Not to be brought again. If it is active already, the version before takes its place."""
        refusal = Refusal(model=wanted.model, version=wanted.version, reason=reason, at=time.time())
        try:
            self._give_up(wanted.manifest, refusal)
        except Unavailable as error:
            log.warning("a refusal is kept in memory only", extra={"reason": str(error)})

    def wanted(self, models: Sequence[ModelAssignment]) -> None:
        """A refusal lasts until the hub wants another version of that model."""
        manifests = {each.model: each.manifest for each in models}
        over = {
            manifest
            for manifest, refusal in self._refused.kept.value.items()
            if refusal.told and manifests.get(refusal.model, manifest) != manifest
        }
        try:
            self._refused.remove(over)
        except Unavailable as error:
            log.warning("refusals that are over stay on the disk", extra={"reason": str(error)})

    # ---- by a person ----

    async def by_hand(self, model: str, reason: str) -> RollbackDone:
        """An empty name stands for the only model. Raises `Rejected` when there is nothing to go back to, `Corrupt`
        when that is damaged, or `Unavailable`."""
        name = self._named(model)
        given_up, before = self._store.active(name), self._store.previous(name)
        if given_up is None or before is None:
            reason = f"{name} has no version before the active one on this device"
            raise Rejected(reason, hint="flip-agent models list shows what there is")
        to_version = await asyncio.to_thread(self._whole_version, before)
        from_version = await asyncio.to_thread(self._version, given_up) or self._answering(name)
        said = f"by hand: {reason}" if reason else "by hand"
        refusal = Refusal(model=name, version=from_version, reason=said, at=time.time())
        if (self._store.active(name), self._store.previous(name)) != (given_up, before):
            raise Unavailable(f"a rollout of {name} has just changed its versions", hint="look again, then try again")
        self._give_up(given_up, refusal)
        self._changed()
        detail = await self._until_answered(name, to_version)
        return RollbackDone(model=name, from_version=from_version, to_version=to_version, detail=detail)

    def retry(self, model: str) -> list[RefusedVersion]:
        """What was refused may be brought again, of that model or, without a name, of all; gives what that is. Raises
        `Rejected` when there is none, or `Unavailable`."""
        kept = self._refused.kept.value
        chosen = {sha: each for sha, each in kept.items() if each.told and model in ("", each.model)}
        if not chosen:
            reason = f"no version of {model} is refused" if model else "no version is refused"
            raise Rejected(reason, hint="flip-agent models list shows what there is")
        self._refused.remove(set(chosen))
        self._changed()
        return [_shown(each) for each in chosen.values()]

    async def listing(self, models: Sequence[ModelAssignment]) -> list[KeptModel]:
        """`models`: what the hub wants."""
        return await asyncio.to_thread(self._listing, models)

    # ---- by `serve` ----

    def verdict(self, said: RolledBack) -> None:
        """`serve` has gone back already; told again, nothing changes. Raises `Unavailable` when it is not durable."""
        if self._refused.of(said.manifest) is None:
            refusal = Refusal(model=said.model, version=said.version, reason=said.reason, at=said.at)
            self._give_up(said.manifest, replace(refusal, to_version=said.to_version, told=False))
            self._changed()

    # ---- what follows ----

    def settle(self) -> None:
        """After a start: a power cut may have come between a refusal and its rollback."""
        for model in self._store.models():
            active = self._store.active(model)
            if active is not None and self._refused.of(active) is not None:
                self._store.roll_back(model, active)

    async def run(self) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(self._tell_hub())
            group.create_task(self._have_serve_follow())

    def _give_up(self, manifest: Sha256, refusal: Refusal) -> None:
        """Durable when it returns."""
        was_active = self._store.active(refusal.model) == manifest
        before = self._store.previous(refusal.model) if was_active else None
        if before is not None and refusal.to_version is None:
            refusal = replace(refusal, to_version=self._version(before) or 0, told=False)
        self._refused.add(manifest, refusal)
        if before is not None:
            self._store.roll_back(refusal.model, manifest)
            about = {"model": refusal.model, "version": refusal.version, "to_version": refusal.to_version}
            log.warning("rolled back", extra={**about, "reason": refusal.reason})

    async def _tell_hub(self) -> None:
        failures = 0
        while True:
            kept = self._refused.kept.value
            try:
                for manifest, refusal in kept.items():
                    if not refusal.told:
                        await self._tell(_event(manifest, refusal), f"rollback {manifest} {refusal.at:.3f}")
                        self._refused.mark_told(manifest)
                failures = 0
            except Unavailable:  # the disk is full, and a condition says so
                failures += 1
                await asyncio.sleep(self._backoff.delay(failures))
                continue
            await self._refused.kept.other_than(kept)

    async def _have_serve_follow(self) -> None:
        failures = 0
        while True:
            kept, state = self._refused.kept.value, self._reported.state.value
            try:
                for model, active in self._answered_by_refused():
                    await self._have_answer(model, active)
                failures = 0
            except (Unavailable, Rejected, Corrupt) as error:
                failures += 1
                if failures == 1:
                    log.warning("serve does not go back yet", extra={"reason": str(error)})
                await asyncio.sleep(self._backoff.delay(failures))
                continue
            await first_of(self._refused.kept.other_than(kept), self._reported.state.other_than(state))

    def _answered_by_refused(self) -> list[tuple[str, Sha256]]:
        """Models that `serve` answers with a version that is refused, and their active manifests."""
        refused = {(each.model, each.version) for each in self._refused.kept.value.values()}
        answering = [each.model for each in self._reported.state.value.serving if (each.model, each.version) in refused]
        active = [(model, self._store.active(model)) for model in answering]
        return [(model, sha) for model, sha in active if sha is not None and self._refused.of(sha) is None]

    async def _have_answer(self, model: str, active: Sha256) -> None:
        version = (await asyncio.to_thread(self._store.manifest, active)).version
        assignment = ModelAssignment(model=model, version=version, manifest=active, size=0)
        peer = self._inference.of(model)
        try:
            await peer.activate(assignment)
        except Unavailable:  # it has it loaded no more
            if reason := await peer.prepare(assignment):
                raise Rejected(reason) from None
            await peer.activate(assignment)

    async def _until_answered(self, model: str, version: int) -> str:
        """What is still to come, in words."""
        if not self._inference.of(model).connected:
            return "flip-agent serve is not running: it answers with that version once it starts"
        try:
            async with asyncio.timeout(ANSWERS_WITHIN):
                await self._reported.state.until(
                    lambda state: any((each.model, each.version) == (model, version) for each in state.serving)
                )
        except TimeoutError:
            return "flip-agent serve has not taken it yet, and is told again"
        return ""

    def _changed(self) -> None:
        self.changes.set(self.changes.value + 1)

    # ---- what there is ----

    def _named(self, model: str) -> str:
        there = self._store.models()
        if not there:
            raise Rejected("no model is in service on this device", hint="one arrives when the hub has promoted it")
        if not model and len(there) > 1:
            raise Rejected(f"there are several models: {', '.join(there)}", hint="name one")
        if model and model not in there:
            raise Rejected(f"no model {model[:80]!r} on this device", hint=f"there is {', '.join(there)}")
        return model or there[0]

    def _listing(self, models: Sequence[ModelAssignment]) -> list[KeptModel]:
        wanted, refused = {each.model: each.version for each in models}, self._refused.kept.value.values()
        local = {each.model: each.local for each in self._reported.state.value.serving}
        names = {*self._store.models(), *wanted, *(each.model for each in refused)}
        return [
            KeptModel(
                model=name,
                active=self._version(self._store.active(name)),
                previous=self._version(self._store.previous(name)),
                wanted=wanted.get(name),
                refused=[_shown(each) for each in refused if each.model == name],
                local=local.get(name),
            )
            for name in sorted(names)
        ]

    def _whole_version(self, manifest: Sha256) -> int:
        """Raises `Corrupt` when a file of it is damaged or missing."""
        found = self._store.manifest(manifest)
        for file in found.files:
            self._store.verify(file.sha256)
        return found.version

    def _answering(self, model: str) -> int:
        """The version that `serve` says; 0 where it is not there to say it."""
        serving = self._reported.state.value.serving
        return next((each.version for each in serving if each.model == model), 0)

    def _version(self, manifest: Sha256 | None) -> int | None:
        """None where there is none, or it cannot be read."""
        try:
            return None if manifest is None else self._store.manifest(manifest).version
        except (Corrupt, Rejected, OSError):
            return None


def _shown(refusal: Refusal) -> RefusedVersion:
    return RefusedVersion(model=refusal.model, version=refusal.version, reason=refusal.sentence, at=refusal.at)


def _event(manifest: Sha256, refusal: Refusal) -> wire.RolledBack:
    return wire.RolledBack(
        model=refusal.model,
        version=refusal.version,
        manifest=manifest,
        to_version=refusal.to_version or 0,
        reason=refusal.reason,
        at=refusal.at,
    )
