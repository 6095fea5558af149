"""A sample store that commits, the calls of an engine that it listens to, and a clock that tests set."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, cast

import msgspec
import numpy as np

from flip_agent.feedback.change import Bulk
from flip_agent.feedback.messages import SamplesGiven
from flip_agent.feedback.routes import bulk_of
from flip_agent.feedback.sample_store import SampleStore
from flip_agent.inference.engine.engine import Call, Target
from flip_agent.inference.engine.served_model import ServedModel, Version
from flip_agent.settings import SamplesSection
from flip_demo.perceptron import Array
from flip_wire.models import FileRef, Manifest, Sha256, TensorSpec

NAMES = ["cold", "mild", "hot"]


class Clock:
    def __init__(self) -> None:
        self.now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


class Judge:
    """Notes what it is told."""

    def __init__(self) -> None:
        self.heard: list[tuple[str, int, bool]] = []

    def __call__(self, model: str, version: int, correct: bool) -> None:
        self.heard.append((model, version, correct))


@asynccontextmanager
async def running(
    folder: Path, judge: Judge | None = None, clock: Clock | None = None, **settings: Any
) -> AsyncGenerator[SampleStore]:
    """With its committer, for at most a minute."""
    judged = [] if judge is None else [judge]
    store = SampleStore(folder / "samples.db", SamplesSection(**settings), judged, clock or Clock())
    committer = asyncio.create_task(store.run())
    try:
        async with asyncio.timeout(60):
            yield store
    finally:
        committer.cancel()
        await asyncio.gather(committer, return_exceptions=True)
        await store.close()


def manifest(version: int = 1, *, labels: list[str] | None = None, width: int = 4, model: str = "weather") -> Manifest:
    """Three classes by default; `labels=[]` makes it a regression of three numbers."""
    return Manifest(
        model=model,
        version=version,
        created_at=0.0,
        weights=FileRef(name="weights.safetensors", sha256=Sha256("0" * 64), size=1),
        inputs=[TensorSpec(name="x", dtype="float32", shape=[-1, width])],
        outputs=[TensorSpec(name="y", dtype="float32", shape=[-1, 3])],
        labels=NAMES if labels is None else labels,
    )


def call(id: str, *guesses: int, of: Manifest | None = None) -> Call:
    """An answer with one row for each guess."""
    of = of or manifest()
    outputs: Array = np.eye(3, dtype="f4")[list(guesses)]
    version = Version(Sha256(f"{of.model}-{of.version}"), of, 0.0, None)
    inputs = [rows(len(guesses), width) for width in (spec.shape[1] for spec in of.inputs)]
    return Call(Target(cast(ServedModel, None), version), id, inputs, [outputs], 0.001)


def rows(count: int, width: int = 4) -> Array:
    return np.arange(count * width, dtype="f4").reshape(count, width)


def bulk(inputs: Array, labels: list[Any], of: Manifest | None = None, id: str = "") -> Bulk:
    """As `POST /v1/samples` makes it."""
    of = of or manifest()
    given = {"model": of.model, "inputs": inputs.tolist(), "labels": labels, "id": id}
    return bulk_of(msgspec.json.decode(msgspec.json.encode(given), type=SamplesGiven), of)
