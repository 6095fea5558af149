"""What the console is told as it happens: one frame per changed thing, over `/api/v1/live`."""

import asyncio
from collections.abc import Generator
from contextlib import contextmanager
from enum import StrEnum

import msgspec
from msgspec import Struct

from flip_hub.devices.schemas import Device
from flip_hub.federation.schemas import Round, Run
from flip_hub.models.schemas import ModelVersion


class DeviceChanged(Struct, frozen=True, kw_only=True, tag="device", tag_field="topic"):
    data: Device


class RunChanged(Struct, frozen=True, kw_only=True, tag="run", tag_field="topic"):
    data: Run


class RoundChanged(Struct, frozen=True, kw_only=True, tag="round", tag_field="topic"):
    data: Round


class ModelVersionChanged(Struct, frozen=True, kw_only=True, tag="model", tag_field="topic"):
    data: ModelVersion


class Listing(StrEnum):
    ACTIONS = "actions"
    """Of a device."""
    GAPS = "gaps"
    """Of a device."""
    LATE = "late"
    """Of a run."""
    SPANS = "spans"
    """Of a run, by Flower's number of it."""


class More(Struct, frozen=True, kw_only=True):
    of: Listing
    id: str


class ListGrew(Struct, frozen=True, kw_only=True, tag="grew", tag_field="topic"):
    """Whoever shows that list must fetch it again: it is too long for a frame."""

    data: More


class Lagged(Struct, frozen=True, kw_only=True, tag="lagged", tag_field="topic"):
    """This reader has missed frames, being new or too slow: it must fetch the lists again."""


Frame = DeviceChanged | RunChanged | RoundChanged | ModelVersionChanged | ListGrew | Lagged

QUEUE = 256
"""Frames that wait for one reader; then it has lagged and starts anew."""


class LiveReader:
    """What one console has not read yet."""

    def __init__(self, most: int = QUEUE) -> None:
        self._frames: asyncio.Queue[bytes] = asyncio.Queue(most)

    async def next(self) -> bytes:
        return await self._frames.get()

    def offer(self, frame: bytes) -> None:
        """Never waits: a full queue is thrown away whole, and the reader told so."""
        if self._frames.full():
            while not self._frames.empty():
                self._frames.get_nowait()
            frame = _LAGGED
        self._frames.put_nowait(frame)


class LiveHub:
    """Hands each frame to every reader there is now; nothing is kept for later ones."""

    def __init__(self) -> None:
        self._readers: set[LiveReader] = set()

    @property
    def readers(self) -> int:
        return len(self._readers)

    def publish(self, frame: Frame) -> None:
        if self._readers:
            encoded = msgspec.json.encode(frame)
            for reader in self._readers:
                reader.offer(encoded)

    @contextmanager
    def reading(self) -> Generator[LiveReader]:
        """From now on, until it is left."""
        reader = LiveReader()
        self._readers.add(reader)
        try:
            yield reader
        finally:
            self._readers.remove(reader)


_LAGGED = msgspec.json.encode(Lagged())
