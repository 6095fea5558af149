"""What the console is told as it happens, over `/api/v1/live`: a frame for each changed thing, from any of the hubs.

A reader that is slow finds the newest state of each thing. Of a topic of which too many things wait it is told that it
has lagged, and fetches the lists again: nothing waits without bound, and nobody waits for a slow reader.
"""

import asyncio
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from enum import StrEnum
from itertools import islice

import msgspec
from msgspec import Struct

from flip_hub.cluster.bus import Bus, Topic
from flip_hub.devices.schemas import Device
from flip_hub.federation.schemas import Round, Run
from flip_hub.models.schemas import ModelVersion
from flip_hub.rollouts.schemas import Rollout


class LiveTopic(StrEnum):
    """What a reader may watch."""

    DEVICES = "devices"
    RUNS = "runs"
    MODELS = "models"


class About(Struct, frozen=True, array_like=True):
    """Which thing a frame is of: a newer one takes its place."""

    topic: LiveTopic
    thing: str


class DeviceChanged(Struct, frozen=True, kw_only=True, tag="device", tag_field="topic"):
    data: Device

    @property
    def about(self) -> About:
        return About(LiveTopic.DEVICES, f"device {self.data.id}")


class RunChanged(Struct, frozen=True, kw_only=True, tag="run", tag_field="topic"):
    data: Run

    @property
    def about(self) -> About:
        return About(LiveTopic.RUNS, f"run {self.data.id}")


class RoundChanged(Struct, frozen=True, kw_only=True, tag="round", tag_field="topic"):
    data: Round

    @property
    def about(self) -> About:
        return About(LiveTopic.RUNS, f"round {self.data.run_id} {self.data.round}")


class ModelVersionChanged(Struct, frozen=True, kw_only=True, tag="model", tag_field="topic"):
    data: ModelVersion

    @property
    def about(self) -> About:
        return About(LiveTopic.MODELS, f"model {self.data.model} {self.data.version}")


class RolloutChanged(Struct, frozen=True, kw_only=True, tag="rollout", tag_field="topic"):
    data: Rollout

    @property
    def about(self) -> About:
        return About(LiveTopic.MODELS, f"rollout {self.data.id}")


class Listing(StrEnum):
    ACTIONS = "actions"
    """Of a device."""
    EVENTS = "events"
    """Of a device; not told of its health and state, which a frame of the device says."""
    GAPS = "gaps"
    """Of a device."""
    LATE = "late"
    """Of a run."""
    SPANS = "spans"
    """Of a run, by Flower's number of it."""
    ALERTS = "alerts"
    """Of the hub, without an id."""


_OF_RUNS = (Listing.LATE, Listing.SPANS)


class More(Struct, frozen=True, kw_only=True):
    of: Listing
    id: str


class ListGrew(Struct, frozen=True, kw_only=True, tag="grew", tag_field="topic"):
    """Whoever shows that list must fetch it again: it is too long for a frame."""

    data: More

    @property
    def about(self) -> About:
        return About(
            LiveTopic.RUNS if self.data.of in _OF_RUNS else LiveTopic.DEVICES, f"grew {self.data.of} {self.data.id}"
        )


class Lagged(Struct, frozen=True, kw_only=True, tag="lagged", tag_field="topic"):
    """This reader has missed frames of these topics, being new or too slow: it must fetch the lists again."""

    topics: list[LiveTopic] = []
    """Empty: of all."""


Told = DeviceChanged | RunChanged | RoundChanged | ModelVersionChanged | RolloutChanged | ListGrew
Frame = Told | Lagged

QUEUE = 1000
"""Things of one topic that wait for one reader; then it has lagged."""


class LiveReader:
    """What one console has not read yet. `username` is whose it is."""

    def __init__(self, username: str, topics: Iterable[LiveTopic], most: int = QUEUE) -> None:
        self.username = username
        self._most = most
        self._waiting: dict[LiveTopic, dict[str, bytes]] = {topic: {} for topic in topics}
        self._lagged: set[LiveTopic] = set()
        self._news = asyncio.Event()
        self.doubted = asyncio.Event()
        """Set when this user's rights may have changed."""

    @property
    def topics(self) -> list[LiveTopic]:
        return list(self._waiting)

    def watch(self, topics: Iterable[LiveTopic]) -> None:
        """These from now on. Of those that are new it has missed all."""
        before, self._waiting = self._waiting, {topic: self._waiting.get(topic, {}) for topic in topics}
        self._lagged &= set(self._waiting)
        for topic in self._waiting:
            if topic not in before:
                self.lag(topic)

    async def next(self) -> bytes:
        """The frame that waits longest of its topic; first of all, that it has lagged."""
        while True:
            frames = self.take(1)
            if frames:
                return frames[0]
            self._news.clear()
            await self._news.wait()

    def take(self, most: int) -> list[bytes]:
        """So many frames that wait, at most."""
        frames: list[bytes] = []
        if self._lagged:
            frames.append(_encoded(Lagged(topics=sorted(self._lagged))))
            self._lagged.clear()
        for waiting in self._waiting.values():
            for thing in list(islice(waiting, most - len(frames))):
                frames.append(waiting.pop(thing))
        return frames

    def offer(self, about: About, frame: bytes) -> None:
        """Never waits; in place of an older frame of the same thing."""
        waiting = self._waiting.get(about.topic)
        if waiting is None or about.topic in self._lagged:
            return  # it does not watch this, or will fetch the lists anyway
        if len(waiting) >= self._most and about.thing not in waiting:
            self.lag(about.topic)
        else:
            waiting[about.thing] = frame
        self._news.set()

    def lag(self, topic: LiveTopic) -> None:
        if topic in self._waiting:
            self._waiting[topic].clear()
            self._lagged.add(topic)
            self._news.set()


class _Told(Struct, frozen=True, array_like=True):
    """A frame on its way between hubs."""

    about: About
    frame: bytes


class LiveHub:
    """Hands each frame to every reader there is now, here and at the other hubs; nothing is kept for later ones."""

    def __init__(self, bus: Bus | None = None) -> None:
        self._bus = bus or Bus()
        self._readers: set[LiveReader] = set()
        self._bus.on(Topic.LIVE, self._heard)
        self._bus.on(Topic.USER, self._user_changed)
        self._bus.on_gap(self._missed)

    @property
    def readers(self) -> int:
        return len(self._readers)

    @property
    def watched(self) -> bool:
        """Whether a frame would reach anybody, as far as this hub knows."""
        return bool(self._readers) or self._bus.linked

    def publish(self, frame: Told) -> None:
        if self.watched:
            self._bus.tell(Topic.LIVE, msgspec.msgpack.encode(_Told(frame.about, _encoded(frame))))

    @contextmanager
    def reading(self, username: str = "", topics: Iterable[LiveTopic] = tuple(LiveTopic)) -> Generator[LiveReader]:
        """From now on, until it is left."""
        reader = LiveReader(username, topics)
        self._readers.add(reader)
        try:
            yield reader
        finally:
            self._readers.remove(reader)

    def _heard(self, payload: bytes) -> None:
        if self._readers:
            told = msgspec.msgpack.decode(payload, type=_Told)
            for reader in self._readers:
                reader.offer(told.about, told.frame)

    def _user_changed(self, payload: bytes) -> None:
        username = payload.decode()
        for reader in self._readers:
            if reader.username == username:
                reader.doubted.set()

    def _missed(self) -> None:
        for reader in self._readers:
            reader.doubted.set()
            for topic in reader.topics:
                reader.lag(topic)


def _encoded(frame: Frame) -> bytes:
    return msgspec.json.encode(frame)
