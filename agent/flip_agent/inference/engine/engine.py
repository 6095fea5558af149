"""One inference call, from checked inputs to outputs, whatever protocol it came by; and who hears of it.

Each call keeps the version that it was checked against. Listeners hear of every call once, on the event loop.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import NamedTuple, Protocol

from flip_agent.inference.engine.served_model import ServedModel, Version
from flip_agent.inference.engine.served_models import ServedModels
from flip_agent.inference.problems import Refusal, Uncomputable
from flip_agent.inference.tensors import Array
from flip_runtime.errors import Rejected

PATIENCE = 30.0
"""Seconds that a request waits for its turn, unless it asks for less."""


class ClientGone(Exception):
    """Nobody reads the answer."""


class Target(NamedTuple):
    """Who shall answer."""

    model: ServedModel
    version: Version


class Call(NamedTuple):
    """One that was answered. The arrays are the request's and the response's own: read them, keep copies."""

    target: Target
    id: str
    """Given by the client, or empty."""
    inputs: Sequence[Array]
    """In the order of the manifest's inputs, as `outputs` is of its outputs."""
    outputs: Sequence[Array]
    seconds: float
    """From checked inputs to outputs, the wait for its turn included."""


class Listener(Protocol):
    """Costs microseconds: what takes longer goes to a thread or a task of its own."""

    def answered(self, call: Call) -> None: ...

    def refused(self, model: str, version: Version | None, refusal: Refusal, seconds: float) -> None:
        """`model` as the client named it; `version` is None when none was found. `seconds` are 0 when it never had
        inputs."""
        ...


class Engine:
    """Used on the event loop."""

    def __init__(self, models: ServedModels, listeners: Sequence[Listener]) -> None:
        self.models = models
        self._listeners = listeners

    async def find(self, name: str, version: str | None = None) -> Target:
        """The active version by default, loaded if it was asleep. Raises as `ServedModels.awake`."""
        return Target(*await self.models.awake(name, version))

    async def infer(
        self,
        target: Target,
        inputs: list[Array],
        *,
        id: str = "",
        patience: float = PATIENCE,
        gone: Callable[[], Awaitable[None]] | None = None,
    ) -> list[Array]:
        """Raises `Refusal`, or `ClientGone` when `gone` returns before the answer is there.

        Calls that are refused while they wait count like any other: they took as long. One that is cancelled is not
        computed any more.
        """
        began = time.perf_counter()
        try:
            outputs = await self._forward(target, inputs, patience, gone)
        except Refusal as refusal:
            self.refused(target.model.name, target.version, refusal, time.perf_counter() - began)
            raise
        call = Call(target, id, inputs, outputs, time.perf_counter() - began)
        for listener in self._listeners:
            listener.answered(call)
        return outputs

    def refused(self, model: str, version: Version | None, refusal: Refusal, seconds: float = 0.0) -> None:
        """To be told by whoever refuses a call before `infer`."""
        for listener in self._listeners:
            listener.refused(model, version, refusal, seconds)

    async def _forward(
        self, target: Target, inputs: list[Array], patience: float, gone: Callable[[], Awaitable[None]] | None
    ) -> list[Array]:
        manifest, batcher = target.version.manifest, target.model.batcher
        if len(inputs) > 1 and len({values.shape[0] for values in inputs}) > 1:
            shapes = {spec.name: list(values.shape) for spec, values in zip(manifest.inputs, inputs, strict=True)}
            raise Refusal(f"the inputs differ in their number of rows: {shapes}")
        waits = batcher.busy
        answer = batcher.submit(target.version.predictor, inputs, asyncio.get_running_loop().time() + patience)
        if waits and gone is not None:
            await _answered_or_gone(answer, gone)
        try:
            return await answer
        except Rejected as error:
            raise Uncomputable(f"version {manifest.version} of {error.args[0]}") from error


async def _answered_or_gone(answer: asyncio.Future[list[Array]], gone: Callable[[], Awaitable[None]]) -> None:
    """Cancels the answer when the client goes first, so that it is not computed for nobody. Raises `ClientGone`."""
    async with asyncio.TaskGroup() as group:
        leaving = group.create_task(_returned(gone))
        try:
            await asyncio.wait((answer, leaving), return_when=asyncio.FIRST_COMPLETED)
        finally:
            answer.cancel()  # does nothing to an answer that is there
            leaving.cancel()
    if answer.cancelled():
        raise ClientGone


async def _returned(gone: Callable[[], Awaitable[None]]) -> None:
    await gone()
