"""A ServerApp's process that aggregates updates as they would come, one at a time, from files: what that needs.

In turns with one NumPy pass over the same bytes: each update's product with its weight, added to a sum, both into
memory that is there already. What reading the files takes is counted on neither side.
"""

import os
import sys
import time
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from flwr.app import Array, ArrayRecord, ConfigRecord, Error, Message, MetricRecord, RecordDict
from flwr.serverapp.strategy import FedAvg
from msgspec import Struct
from numpy.typing import NDArray

from bench.simulation import SimulatedClock, SimulatedGrid
from flip_hub.federation.aggregator.strategies import weighted_mean
from flip_hub.federation.aggregator.strategies.async_steps import async_steps
from flip_hub.federation.aggregator.strategies.bases import Bases, FolderBases
from flip_hub.federation.aggregator.strategies.fedbuff import FedBuff
from flip_hub.federation.aggregator.strategies.lazy_array import LazyArray
from flip_hub.federation.aggregator.strategies.refusals import refused_update
from flip_hub.federation.aggregator.strategies.steps import Work
from flip_hub.federation.aggregator.strategies.tensors import read, written

_FILES = 8
"""Different updates; devices take turns with them."""
_SHARES = {"embedding": 0.6, "hidden": 0.25, "output": 0.14, "bias": 0.01}
"""Of the model's entries."""


class Settings(Struct, frozen=True):
    folder: str
    strategy: str
    updates: int
    entries: int
    """Of float32."""
    turns: int


class Found(Struct, frozen=True):
    update: int
    """Bytes."""
    idle: int
    peak: int
    """Bytes of memory, in the first turn."""
    ours: list[float]
    numpy: list[float]
    """CPU seconds of each turn."""


class Source:
    """Updates on disk, read when they are asked for, and how long that took."""

    def __init__(self, folder: Path, entries: int) -> None:
        self.seconds = 0.0
        self.size = 0
        """Bytes of an update."""
        draw = np.random.default_rng(0)
        shapes = {name: (int(entries * share),) for name, share in _SHARES.items()}
        self._places: dict[str, tuple[int, int]] = {}
        for number in range(_FILES):
            arrays = written({name: draw.normal(size=shape).astype("f4") for name, shape in shapes.items()})
            (folder / str(number)).write_bytes(b"".join(array.data for array in arrays.values()))
            self.size = 0
            for name, array in arrays.items():
                self._places[name] = (self.size, len(array.data))
                self.size += len(array.data)
        self._shapes = shapes
        self._files = [os.open(folder / str(number), os.O_RDONLY) for number in range(_FILES)]

    def update(self, number: int) -> ArrayRecord:
        record = ArrayRecord()
        for name, shape in self._shapes.items():
            record[name] = LazyArray("float32", shape, partial(self._read, number % _FILES, name))
        return record

    def _read(self, number: int, name: str) -> bytes:
        began = time.process_time()
        begin, size = self._places[name]
        content = os.pread(self._files[number], size, begin)
        self.seconds += time.process_time() - began
        return content


class Fleet(SimulatedGrid):
    """Devices whose replies hold updates of the source; what the hub looks at in each is looked at."""

    def __init__(self, source: Source, updates: int, like: ArrayRecord) -> None:
        self._source = source
        self._like = read(like)
        late = set(range(updates // 2, updates))  # so that half of the second step is stale
        super().__init__(SimulatedClock(), range(updates), lambda node: 2.0 if node in late else 1.0, self._reply)

    def send_and_receive(self, messages: Iterable[Message], *, timeout: float | None = None) -> list[Message]:
        replies = super().send_and_receive(messages, timeout=timeout)
        return [self._checked(reply) for reply in replies]

    def _checked(self, reply: Message) -> Message:
        why = refused_update(reply, self._like, "num-examples")
        return Message(Error(code=0, reason=why), reply_to=reply) if why else reply

    def _reply(self, message: Message) -> Message:
        node = message.metadata.dst_node_id
        metrics = MetricRecord({"num-examples": 100 + node, "loss": 1.0})
        return Message(RecordDict({"arrays": self._source.update(node), "metrics": metrics}), reply_to=message)


def main() -> None:
    settings = msgspec.json.decode(sys.stdin.buffer.read(), type=Settings)
    folder = Path(settings.folder)
    source = Source(folder, settings.entries)
    weighted_mean.install()
    one_turn = {"fedavg": _fedavg, "fedbuff": partial(_fedbuff, bases=FolderBases(folder))}[settings.strategy]
    idle, peak, ours, numpy = 0, 0, list[float](), list[float]()
    for turn in range(settings.turns):
        if turn == 0:
            Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
            idle = _memory("VmRSS")
        ours.append(_timed(source, lambda: one_turn(source, settings.updates)))
        peak = peak or _memory("VmHWM")
        numpy.append(_timed(source, lambda: _one_pass(source, settings.updates)))
    found = Found(update=source.size, idle=idle, peak=peak, ours=ours, numpy=numpy)
    print(msgspec.json.encode(found).decode(), flush=True)


def _fedavg(source: Source, updates: int) -> None:
    first = _first(source)
    strategy = FedAvg(min_train_nodes=updates, min_available_nodes=updates, fraction_evaluate=0.0)
    strategy.start(Fleet(source, updates, first), first, num_rounds=1)


def _fedbuff(source: Source, updates: int, bases: Bases) -> None:
    """Two steps of half the updates: the second of them of stale ones."""
    first = _first(source)
    fleet = Fleet(source, updates, first)
    strategy = FedBuff(buffer_size=updates // 2, fraction_evaluate=0.0, min_available_nodes=updates)
    work = Work(steps=2, timeout=60.0, train_config=ConfigRecord(), evaluate_config=ConfigRecord())
    async_steps(strategy, fleet, first, work, bases=bases, clock=fleet.clock)


def _first(source: Source) -> ArrayRecord:
    return ArrayRecord({name: Array(values.copy()) for name, values in read(source.update(0)).items()})


def _one_pass(source: Source, updates: int) -> None:
    totals: dict[str, NDArray[Any]] = {}
    products: dict[str, NDArray[Any]] = {}
    for number in range(updates):
        for name, values in read(source.update(number)).items():
            if name not in totals:
                totals[name], products[name] = np.zeros_like(values), np.zeros_like(values)
            np.multiply(values, 1 / updates, out=products[name])
            np.add(totals[name], products[name], out=totals[name])


def _timed(source: Source, work: Callable[[], None]) -> float:
    source.seconds, began = 0.0, time.process_time()
    work()
    return time.process_time() - began - source.seconds


def _memory(name: str) -> int:
    """Bytes, as /proc/self/status says (proc_pid_status(5))."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) * 1024
    raise AssertionError(f"/proc/self/status tells no {name}")


if __name__ == "__main__":
    main()
