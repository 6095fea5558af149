"""A version as this device serves it: the hub's, with the device's own tensors in the place of its local parts.

The version is checked as the hub made it, by hash and probe, before anything is put in its place. The device's own
must be of the same run, whole, finite, and of the names, shapes and types that the graph takes; else the version's
answer, and it is said why. Own parts never keep a version from answering.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace

import numpy as np

from flip_agent.inference.engine.predictor import Predictor
from flip_agent.inference.engine.served_model import ServedModel, Version
from flip_agent.inference.tensors import Array
from flip_agent.models.store import ModelStore
from flip_agent.own_parts import OwnParts, OwnPartsFolder, Stamp
from flip_runtime.errors import FlipError, Rejected
from flip_update.local_parts import is_local
from flip_wire.models import LocalParts, Sha256

log = logging.getLogger(__name__)

_LOOK_EVERY = 1.0
"""Seconds; a look is one `stat` for each version with local parts."""


def with_own_parts(store: ModelStore, files: OwnPartsFolder, version: Version) -> Version:
    """`version` is loaded; for a thread."""
    run_id = version.manifest.run_id
    wanted = [name for name in version.predictor.weights if is_local(name, version.manifest.local)]
    if not wanted:
        return version
    stamp = files.stamp(run_id)
    try:
        own = files.read(run_id)
        if own is None:
            return replace(version, local=LocalParts(served="untrained", run_id=run_id), stamp=stamp)
        predictor = Predictor.load(store, version.manifest, _tensors(own, wanted))
        predictor.check()
    except (FlipError, MemoryError, OSError) as error:
        reason = str(error) if isinstance(error, FlipError) else f"they cannot be loaded: {type(error).__name__}"
        log.warning("own parts refused", extra={**_about(version), "reason": reason})
        return replace(version, local=LocalParts(served="refused", run_id=run_id, reason=reason), stamp=stamp)
    log.info("own parts", extra={**_about(version), "round": own.round})
    told = LocalParts(served="own", run_id=run_id, round=own.round, trained_at=own.trained_at)
    return replace(version, loaded=predictor, local=told, stamp=stamp)


def _tensors(own: OwnParts, wanted: Sequence[str]) -> dict[str, Array]:
    for name in wanted:
        if name not in own.arrays:
            raise Rejected(f"this device's own parts lack tensor '{name[:100]}'")
        if not np.isfinite(own.arrays[name]).all():
            raise Rejected(f"this device's own '{name[:100]}' has entries that are not finite")
    return {name: own.arrays[name] for name in wanted}


def _about(version: Version) -> dict[str, object]:
    manifest = version.manifest
    return {"model": manifest.model, "version": manifest.version, "run": manifest.run_id}


async def follow(
    models: Callable[[], Sequence[ServedModel]],
    files: OwnPartsFolder,
    opened: Callable[[str, Sha256], Awaitable[Version]],
    told: Callable[[], Awaitable[None]],
) -> None:
    """A service: what answers with local parts is loaded anew once `train` has left others; then `told` is called. A
    version that sleeps takes the newest when it wakes."""
    tried: dict[Sha256, Stamp | None] = {}
    while True:
        tried = await _look(models(), files, opened, tried)
        await told()
        await asyncio.sleep(_LOOK_EVERY)


async def _look(
    models: Sequence[ServedModel],
    files: OwnPartsFolder,
    opened: Callable[[str, Sha256], Awaitable[Version]],
    tried: dict[Sha256, Stamp | None],
) -> dict[Sha256, Stamp | None]:
    """What was tried for the versions that answer: one that cannot be loaded any more is not tried again and again."""
    trying: dict[Sha256, Stamp | None] = {}
    for model in models:
        for version in model.answering:
            if version.loaded is None or version.local is None:
                continue
            stamp = trying[version.sha256] = files.stamp(version.manifest.run_id)
            if stamp not in (version.stamp, tried.get(version.sha256, version.stamp)):
                await _renew(model, version, opened)
    return trying


async def _renew(model: ServedModel, version: Version, opened: Callable[[str, Sha256], Awaitable[Version]]) -> None:
    try:
        async with model.loading:
            model.woken(await opened(model.name, version.sha256))
    except FlipError as error:  # its files were damaged since: what is in memory goes on answering
        log.warning("own parts wait", extra={**_about(version), "reason": str(error)})
