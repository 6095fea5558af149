"""Eight devices on a simulated clock that learn what depends on the device, the round and what they were given."""

from collections.abc import Callable
from typing import Any, cast

import numpy as np
from flwr.app import Array, ArrayRecord, ConfigRecord, Error, Message, MetricRecord, RecordDict

from bench.simulation import Pace, SimulatedClock, SimulatedGrid
from flip_hub.federation.aggregator.strategies.async_steps import async_steps
from flip_hub.federation.aggregator.strategies.fedbuff import FedBuff
from flip_hub.federation.aggregator.strategies.steps import Step, Work

Change = Callable[[int, RecordDict], RecordDict | Error]
"""What a device sends in the place of what it would."""

ALL = range(1, 9)


def model(seed: int = 0) -> ArrayRecord:
    draw = np.random.default_rng(seed)
    shapes = {"w": (5, 3), "b": (3,), "scale": ()}
    record = ArrayRecord({name: Array(np.asarray(draw.normal(size=shape), "f4")) for name, shape in shapes.items()})
    record["steps"] = Array(np.asarray(3))  # a whole number, as of batches
    return record


def samples(node: int) -> int:
    return 10 * node + 1


def trained(message: Message) -> RecordDict:
    node, number = message.metadata.dst_node_id, round_of(message)
    draw = np.random.default_rng([node, number])
    learnt = ArrayRecord()
    for name, array in arrays_of(message.content).items():
        value = array.numpy()
        if name == "steps":
            learnt[name] = Array(np.asarray(value.astype("i8") + node))
        else:
            learnt[name] = Array(np.asarray(value * 0.9 + draw.normal(size=value.shape), "f4"))
    metrics = MetricRecord({"loss": float(draw.random()), "num-examples": samples(node)})
    return RecordDict({"arrays": learnt, "metrics": metrics})


def evaluated(message: Message) -> RecordDict:
    metrics = MetricRecord({"accuracy": message.metadata.dst_node_id / 10, "num-examples": 5})
    return RecordDict({"metrics": metrics})


def devices(pace: Pace = lambda _: 0.0, change: Change = lambda _, content: content) -> SimulatedGrid:
    def answer(message: Message) -> Message:
        content = trained(message) if message.metadata.message_type == "train" else evaluated(message)
        return Message(change(message.metadata.dst_node_id, content), reply_to=message)

    return SimulatedGrid(SimulatedClock(), ALL, pace, answer)


def instruction(node: int, number: int, arrays: ArrayRecord) -> Message:
    content = RecordDict({"arrays": arrays, "config": ConfigRecord({"server-round": number})})
    return Message(content, dst_node_id=node, message_type="train")


def work(steps: int, **changes: Any) -> Work:
    options: dict[str, Any] = {"timeout": 3600.0, "train_config": ConfigRecord(), "evaluate_config": ConfigRecord()}
    return Work(steps=steps, **options | changes)


def run(
    strategy: FedBuff, grid: SimulatedGrid, work: Work, arrays: ArrayRecord | None = None, **more: Any
) -> list[Step]:
    """What was told of each step."""
    told: list[Step] = []
    options: dict[str, Any] = {"clock": grid.clock, "on_step": told.append}
    async_steps(strategy, grid, model() if arrays is None else arrays, work, **options | more)
    return told


def buffered(size: int, **options: Any) -> FedBuff:
    """Without evaluation on devices."""
    return FedBuff(buffer_size=size, fraction_evaluate=0.0, **options)


def arrays_of(content: RecordDict) -> ArrayRecord:
    return cast(ArrayRecord, content["arrays"])


def metrics_of(content: RecordDict) -> MetricRecord:
    return cast(MetricRecord, content["metrics"])


def round_of(message: Message) -> int:
    return cast(int, cast(ConfigRecord, message.content["config"])["server-round"])
