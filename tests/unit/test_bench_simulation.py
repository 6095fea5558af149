"""Simulated devices finish what they have begun, and take up the newest instruction then; both sides meet the same."""

from collections.abc import Iterator

import pytest
from flwr.app import ConfigRecord, Message, RecordDict

from bench.late import Pace, duration
from bench.simulation import SimulatedClock, SimulatedGrid


def grid_of(paces: dict[int, list[float | None]]) -> SimulatedGrid:
    left: dict[int, Iterator[float | None]] = {node: iter(each) for node, each in paces.items()}

    def echo(message: Message) -> Message:
        return Message(RecordDict({"config": message.content["config"]}), reply_to=message)

    return SimulatedGrid(SimulatedClock(), paces, lambda node: next(left[node]), echo)


def ask(*nodes: int, kind: str = "train") -> list[Message]:
    return [Message(RecordDict({"config": ConfigRecord()}), dst_node_id=node, message_type=kind) for node in nodes]


def nodes_of(replies: list[Message]) -> list[int]:
    return [reply.metadata.src_node_id for reply in replies]


def test_a_round_takes_as_long_as_its_slowest_device() -> None:
    grid = grid_of({1: [30.0], 2: [10.0]})
    assert nodes_of(grid.send_and_receive(ask(1, 2), timeout=60.0)) == [1, 2]
    assert grid.clock.now() == 30.0


def test_a_round_with_a_device_that_dropped_out_takes_until_its_deadline() -> None:
    grid = grid_of({1: [30.0], 2: [None]})
    assert nodes_of(grid.send_and_receive(ask(1, 2), timeout=60.0)) == [1]
    assert grid.clock.now() == 60.0


def test_a_device_that_missed_its_round_finishes_its_work_before_it_begins_the_next_one() -> None:
    grid = grid_of({1: [100.0, 10.0], 2: [10.0] * 3})
    assert nodes_of(grid.send_and_receive(ask(1, 2), timeout=60.0)) == [2]
    assert nodes_of(grid.send_and_receive(ask(1, 2), timeout=45.0)) == [2], "it is at its first work until 100"
    assert grid.clock.now() == 105.0
    assert nodes_of(grid.send_and_receive(ask(2), timeout=60.0)) == [2]


def test_of_instructions_that_wait_the_newest_is_taken_up() -> None:
    grid = grid_of({1: [50.0, 5.0]})
    first, second, third = (grid.push_messages(ask(1))[0] for _ in range(3))
    grid.clock.wait_for(55.0)
    assert [reply.metadata.reply_to_message_id for reply in grid.pull_messages([first, second, third])] == [
        first,
        third,
    ]
    assert grid.pull_messages([first, second, third]) == [], "each is given once"


def test_devices_evaluate_beside_their_training() -> None:
    grid = grid_of({1: [50.0, 5.0]})
    grid.push_messages(ask(1))
    assert nodes_of(grid.send_and_receive(ask(1, kind="evaluate"))) == [1]
    assert grid.clock.now() == 5.0


def test_both_sides_of_the_bench_meet_the_same_devices() -> None:
    sides = [Pace(3), Pace(3)]
    drawn = [[side(node) for node in (1, 2, 1, 1, 2) for _ in range(40)] for side in sides]
    assert drawn[0] == drawn[1]
    dropped = [pace for pace in drawn[0] if pace is None]
    assert len(dropped) / len(drawn[0]) == pytest.approx(0.3, abs=0.08)
    assert duration(3, 1, 1) != duration(3, 1, 2) != duration(4, 1, 2)
