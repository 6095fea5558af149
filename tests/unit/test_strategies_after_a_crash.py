"""A run without rounds goes on after a crash: devices are asked again for the version of the model that they had."""

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from flwr.app import ArrayRecord, Message

from bench.simulation import SimulatedClock, SimulatedGrid
from flip_hub.federation.aggregator.memory import Memory, write
from flip_hub.federation.aggregator.strategies.bases import Bases, FolderBases, MemoryBases, record_of
from flip_hub.federation.aggregator.strategies.fedbuff import FedBuff
from flip_hub.federation.aggregator.strategies.steps import Step
from flip_runtime.errors import Corrupt
from learning_devices import ALL, arrays_of, buffered, devices, model, round_of, run, trained, work

STEPS = 12


class PowerCut(Exception): ...


class Life:
    """What is on disk of a run that was cut off after a step."""

    def __init__(self, bases: Bases, after: int) -> None:
        draw = random.Random(7)
        self._strategy = buffered(3)
        self._after = after
        grid = devices(lambda _: draw.paretovariate(1.2) * 20)
        with pytest.raises(PowerCut):
            run(self._strategy, grid, work(STEPS), bases=bases, on_step=self._checkpoint)

    def _checkpoint(self, step: Step) -> None:
        content = b"".join(write({"strategy": self._strategy, "arrays": step.arrays}).pieces)
        if step.number == self._after:
            self.content = content
            raise PowerCut

    def restored(self) -> tuple[FedBuff, ArrayRecord]:
        strategy, memory = buffered(3), Memory(self.content)
        memory.into("strategy", strategy)
        return strategy, memory.value("arrays")


@pytest.mark.parametrize("after", [1, 4, 9])
@pytest.mark.parametrize("kind", ["memory", "folder"])
def test_devices_are_asked_again_for_what_they_had_and_the_run_goes_on(after: int, kind: str, tmp_path: Path) -> None:
    bases: Bases = MemoryBases() if kind == "memory" else FolderBases(tmp_path)
    life = Life(bases, after)
    strategy, arrays = life.restored()
    before, answered = dict(strategy.asked), dict(strategy.answered)
    assert before, "somebody was at work"
    assert min(before.values()) < after, "not all of them on the newest version"
    assert all(answered.get(node, -1) < version for node, version in before.items())
    asked: dict[int, list[int]] = {}

    def noted(message: Message) -> Message:
        version = round_of(message) - 1
        asked.setdefault(message.metadata.dst_node_id, []).append(version)
        assert arrays_of(message.content) == record_of(bases.arrays(version))
        return Message(trained(message), reply_to=message)

    grid = SimulatedGrid(SimulatedClock(), ALL, lambda _: 10.0, noted)
    steps = run(strategy, grid, work(STEPS), arrays, done=after, bases=bases)
    assert [step.number for step in steps] == list(range(after + 1, STEPS + 1))
    assert {node: versions[0] for node, versions in asked.items() if node in before} == before
    assert all(answered.get(node, -1) < versions[0] for node, versions in asked.items()), "none trains again"


def test_the_same_crash_goes_on_to_the_same_weights() -> None:
    def end() -> ArrayRecord:
        bases = MemoryBases()
        strategy, arrays = Life(bases, 4).restored()
        return run(strategy, devices(lambda node: float(node)), work(STEPS), arrays, done=4, bases=bases)[-1].arrays

    assert end() == end()


def test_who_had_a_version_that_is_gone_is_given_the_newest() -> None:
    strategy, arrays = Life(MemoryBases(), 4).restored()
    steps = run(strategy, devices(), work(5), arrays, done=4, bases=MemoryBases())
    assert all(taken.staleness == 0 for taken in steps[0].taken)


def test_an_evaluation_that_a_crash_cut_off_is_made_again() -> None:
    told: list[int] = []
    for evaluated, expected in ((3, [4]), (4, [])):
        strategy = FedBuff(buffer_size=8, evaluate_every=2)
        strategy.evaluated = evaluated
        told.clear()
        run(strategy, devices(), work(5), model(), done=4, on_evaluated=lambda each: told.append(each.step))
        assert told == [*expected, 5]


@pytest.mark.parametrize("make", [lambda _: MemoryBases(), FolderBases], ids=["memory", "folder"])
def test_bases_give_what_was_kept_until_it_is_forgotten(make: Callable[[Path], Bases], tmp_path: Path) -> None:
    bases = make(tmp_path)
    for version in range(4):
        bases.keep(version, model(version))
    bases.forget_all_but({1, 3})
    assert [record_of(bases.arrays(version)) for version in (1, 3)] == [model(1), model(3)]
    with pytest.raises(Corrupt, match="version 2 of the model is not kept any more"):
        record_of(bases.arrays(2))


def test_a_later_life_finds_the_bases_on_disk_and_nothing_else_in_the_folder_is_touched(tmp_path: Path) -> None:
    (tmp_path / "1-000001-done.checkpoint").write_bytes(b"of somebody else")
    FolderBases(tmp_path).keep(1, model())
    later = FolderBases(tmp_path)
    assert record_of(later.arrays(1)) == model()
    later.forget_all_but(())
    assert [path.name for path in tmp_path.iterdir()] == ["1-000001-done.checkpoint"]


def damage(content: bytes) -> list[Any]:
    whole = len(content)
    at_end = content[:-1] + bytes([content[-1] ^ 128])
    flipped = [content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :] for at in range(0, whole, 7)]
    return [*flipped, at_end, b"", content[:4], content[: whole // 2], content[:-1], b"\xff" * 64]


def test_a_damaged_base_is_found_out(tmp_path: Path) -> None:
    bases = FolderBases(tmp_path)
    bases.keep(1, model())
    path = tmp_path / "1.base"
    for content in damage(path.read_bytes()):
        path.write_bytes(content)
        with pytest.raises(Corrupt, match="version 1 of the model"):
            record_of(bases.arrays(1))
