"""A slow console finds the newest state of each thing, or is told that it lagged; hubs tell one another."""

import msgspec

from flip_hub.cluster.bus import Bus, Topic
from flip_hub.federation.schemas import Round
from flip_hub.live import QUEUE, Frame, Lagged, ListGrew, Listing, LiveHub, LiveReader, LiveTopic, More, RoundChanged

GAPS = ListGrew(data=More(of=Listing.GAPS, id="dev-1"))


def _frame(number: int, started_at: float = 0.0) -> RoundChanged:
    return RoundChanged(
        data=Round(
            run_id="run-1",
            round=number,
            started_at=started_at,
            finished_at=None,
            sampled=[],
            answered=[],
            failures=[],
            train_metrics={},
            evaluate_metrics={},
            version=None,
        )
    )


def _read(reader: LiveReader, most: int = 10_000) -> list[Frame]:
    return [msgspec.json.decode(frame, type=Frame) for frame in reader.take(most)]


def test_of_each_thing_the_newest_frame_waits() -> None:
    live = LiveHub()
    with live.reading() as reader:
        for at in range(3):
            live.publish(_frame(1, at))
            live.publish(_frame(2, at))
        assert _read(reader, 1) == [_frame(1, 2.0)]
        assert _read(reader) == [_frame(2, 2.0)]
        assert _read(reader) == []


def test_a_slow_reader_is_told_that_it_lagged_and_goes_on_from_there() -> None:
    live = LiveHub()
    with live.reading() as reader:
        for number in range(QUEUE + 2):
            live.publish(_frame(number))
        live.publish(GAPS)
        assert _read(reader) == [Lagged(topics=[LiveTopic.RUNS]), GAPS], "of the other topic nothing is lost"
        live.publish(_frame(7))
        assert _read(reader) == [_frame(7)]


def test_a_reader_hears_what_other_hubs_tell_and_of_what_it_missed_of_them() -> None:
    here, there = Bus(), Bus()
    live, other = LiveHub(here), LiveHub(there)
    there.connect(_Wire(here))
    with live.reading("ada", [LiveTopic.DEVICES]) as reader:
        other.publish(GAPS)
        other.publish(_frame(1))
        assert _read(reader) == [GAPS]
        assert not reader.doubted.is_set()
        there.tell(Topic.USER, b"bob")
        assert not reader.doubted.is_set()
        there.tell(Topic.USER, b"ada")
        assert reader.doubted.is_set(), "its rights are looked up again"
        here.missed()
        assert _read(reader) == [Lagged(topics=[LiveTopic.DEVICES])]


class _Wire:
    """The way to the other hub."""

    def __init__(self, to: Bus) -> None:
        self._to = to

    def offer(self, topic: Topic, payload: bytes) -> None:
        self._to.heard(topic, payload)
