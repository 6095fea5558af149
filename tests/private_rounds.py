"""Rounds of a private strategy without a network: devices are functions of the model."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
from flwr.app import Array, ArrayRecord, ConfigRecord, Error, Message, MetricRecord, RecordDict
from flwr.serverapp import Grid
from flwr.serverapp.strategy import FedAvg
from numpy.typing import NDArray

from flip_hub.federation.aggregator.privacy.strategy import Private
from flip_hub.federation.privacy.schemas import DeviceFixed, HubFixed, Local

Vector = NDArray[Any]
Device = Callable[[Message], RecordDict | None]
"""What it answers; None: it fails."""

SIZE = 40_000
"""Entries: the deviation of so many is known to one part in 140 (two sigma)."""
BUDGET: dict[str, Any] = {"budget": 1e6, "delta": 1e-5}
FIXED = HubFixed(noise_multiplier=2.0, clipping_norm=3.0, **BUDGET)
FAINT = HubFixed(noise_multiplier=1e-9, clipping_norm=3.0, budget=1e30, delta=1e-5)
"""Without noise to speak of; hence without privacy."""
ADAPTIVE: dict[str, Any] = {"noise_multiplier": 1.0, "clipping_norm": 3.0, "clipped_count_stddev": 5.0, **BUDGET}
DEVICE = DeviceFixed(noise_multiplier=1e-9, clipping_norm=3.0, budget=1e30, delta=1e-5)
LOCAL = Local(clipping_norm=1.0, message_epsilon=1.0, message_delta=1e-6, **BUDGET)
ONE = {"num-examples": 1}


class Devices(Grid):
    """Node 1 is the first, and so on."""

    def __init__(self, devices: Iterable[Device]) -> None:
        self.devices = dict(enumerate(devices, start=1))

    @property
    def run(self) -> Any:
        raise NotImplementedError

    def set_run(self, run: Any) -> None:
        raise NotImplementedError

    def create_message(self, *args: Any, **kwargs: Any) -> Message:
        raise NotImplementedError

    def get_node_ids(self) -> Iterable[int]:
        return list(self.devices)

    def push_messages(self, messages: Iterable[Message]) -> Iterable[str]:
        raise NotImplementedError

    def pull_messages(self, message_ids: Iterable[str]) -> Iterable[Message]:
        raise NotImplementedError

    def send_and_receive(self, messages: Iterable[Message], *, timeout: float | None = None) -> list[Message]:
        return [self._reply(number, message) for number, message in enumerate(messages)]

    def _reply(self, number: int, message: Message) -> Message:
        message.metadata.__dict__["_message_id"] = f"m{number}"
        answer = self.devices[message.metadata.dst_node_id](message)
        if answer is None:
            return Message(Error(code=5, reason="no such luck"), reply_to=message)
        return Message(answer, reply_to=message)


def sends(update: Vector, examples: float = 10, **metrics: float) -> Device:
    """That update on top of the model's `weights`."""

    def device(message: Message) -> RecordDict:
        weights = vector(message.content.array_records["arrays"])
        return answer({"weights": (weights + update).astype(weights.dtype)}, {"num-examples": examples, **metrics})

    return device


def fails(_: Message) -> None:
    return None


def answer(arrays: Mapping[str, Any], metrics: Mapping[str, float]) -> RecordDict:
    record = ArrayRecord({name: Array(np.asarray(value)) for name, value in arrays.items()})
    return RecordDict({"arrays": record, "metrics": MetricRecord(dict(metrics))})


def model(size: int, value: float = 0.0, dtype: str = "float32") -> ArrayRecord:
    return ArrayRecord({"weights": Array(np.full(size, value, dtype))})


def vector(arrays: ArrayRecord | None, name: str = "weights") -> Vector:
    assert arrays is not None
    return arrays[name].numpy()


def average(cls: type[FedAvg] = FedAvg, **options: Any) -> FedAvg:
    return cls(min_train_nodes=1, min_evaluate_nodes=1, min_available_nodes=1, **options)


def train(strategy: Private, arrays: ArrayRecord, *devices: Device, number: int = 1) -> ArrayRecord | None:
    return trained(strategy, arrays, *devices, number=number)[0]


def trained(
    strategy: Private, arrays: ArrayRecord, *devices: Device, number: int = 1
) -> tuple[ArrayRecord | None, MetricRecord | None]:
    grid = Devices(devices)
    return strategy.aggregate_train(
        number, grid.send_and_receive(strategy.configure_train(number, arrays, ConfigRecord(), grid))
    )


def along(length: float, size: int = SIZE, axis: int = 0) -> Vector:
    update = np.zeros(size)
    update[axis] = length
    return update


def deviation(values: Vector) -> float:
    return float(np.sqrt(np.mean(np.square(values, dtype=np.float64))))
