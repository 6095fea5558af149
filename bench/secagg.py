"""What secure aggregation costs beside plain aggregation: CPU of a device and of the hub, for one round.

Both sides in turns, in one process, over the same transport: every question and answer is a Flower message that is
taken apart into the objects that travel, and put together again at the other end. Left out on both sides are training,
HTTP and the device's disk. One tenth of the devices drops out of each round before it sends an update, of the secure
one after it has shared its secrets, which is when that costs most; a device's figure is that of those that stay. The
figures are the mean over all rounds that a circle of neighbours serves, from the agreement on its keys on; in each of
them others drop out, and those of the round before come back. A mean that is not that of their updates ends the bench.
"""

import random
import statistics
import time
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from math import prod
from pathlib import Path

import numpy as np
from flwr.app import Array, ArrayRecord, ConfigRecord, Message, MetricRecord, RecordDict
from flwr.supercore.inflatable.inflatable_object import get_all_nested_objects, get_object_tree, no_object_id_recompute
from flwr.supercore.task_identity import TaskIdentity
from msgspec import Struct
from numpy.typing import NDArray

from bench.progress import say
from bench.report import Verdict, at_most
from flip_agent.federation.flower import flatten, inflate
from flip_runtime.errors import Rejected
from flip_update.secagg import device
from flip_update.secagg.hub_round import HubRound
from flip_update.secagg.keys import ROUNDS
from flip_update.secagg.members import Stage
from flip_update.secagg.parameters import Parameters

_SHAPES = {"0.weight": (128, 784), "0.bias": (128,), "2.weight": (10, 128), "2.bias": (10,)}
"""A network for images of 28 x 28: 101,770 parameters."""
_LENGTH = sum(prod(shape) for shape in _SHAPES.values())
_CLIP = 1.0
_MAX_WEIGHT = 1000
_DROPOUT = 0.1
_QUESTION, _ANSWER, _MODEL, _METRICS = "question", "answer", "model", "metrics"

Arrays = dict[str, NDArray[np.float32]]
Sent = tuple[str, dict[str, bytes]]
"""A message's id, and the objects that it consists of, by theirs."""


class Cpu(Struct):
    """Seconds of one round: of all devices that stay together, and of the hub."""

    devices: float = 0.0
    hub: float = 0.0
    arithmetic: float = 0.0
    """Of the devices', without the transport."""

    @contextmanager
    def of(self, side: str) -> Generator[None]:
        began = time.process_time()
        yield
        setattr(self, side, getattr(self, side) + time.process_time() - began)


class Update(Struct, frozen=True):
    arrays: Arrays
    weight: int

    def to_mask(self) -> device.Update:
        return device.Update(list(self.arrays.values()), self.weight)


async def measure(folder: Path, *, quick: bool) -> Mapping[str, Verdict]:
    devices, circles = (10, 1) if quick else (50, 3)
    TaskIdentity.run_id, TaskIdentity.node_id, TaskIdentity.task_id = 1, 1, 1  # as in a ServerApp's process
    chance = random.Random(1)
    updates = {f"device-{number}": _update(number) for number in range(devices)}
    stay = devices - int(devices * _DROPOUT)
    run = _Secure(updates)
    plain: list[Cpu] = []
    secure: list[Cpu] = []
    for turn in range(circles * ROUNDS + 1):
        staying = set(chance.sample(sorted(updates), stay))
        plain.append(_plain(updates, staying))
        secure.append(run.round(staying))
        if turn == 0:  # which loads and warms
            run = _Secure(updates)
    ours, peer = (_of_circles(rounds[1:], stay) for rounds in (secure, plain))
    say(
        f"a device: {1000 * ours.devices:.2f} ms, {1000 * ours.arithmetic:.2f} of them not transport,"
        f" against {1000 * peer.devices:.2f} ms; the hub: {1000 * ours.hub:.1f} ms against {1000 * peer.hub:.1f} ms"
    )
    return {
        "device_cpu": at_most(2.0, ours.devices / peer.devices, peer.devices),
        "hub_cpu": at_most(4.0, ours.hub / peer.hub, peer.hub),
    }


def _of_circles(rounds: Sequence[Cpu], devices: int) -> Cpu:
    """A round's of a single device, and of the hub: the mean over a circle's rounds, of which the median."""
    found = [(cpu.devices / devices, cpu.hub, cpu.arithmetic / devices) for cpu in rounds]
    circles = [found[start : start + ROUNDS] for start in range(0, len(found), ROUNDS)]
    means = [[statistics.fmean(values) for values in zip(*circle, strict=True)] for circle in circles]
    return Cpu(*(statistics.median(values) for values in zip(*means, strict=True)))


def _update(seed: int) -> Update:
    chance = np.random.default_rng(seed)
    arrays = {name: chance.normal(0.0, 0.05, shape).astype(np.float32) for name, shape in _SHAPES.items()}
    return Update(arrays, int(chance.integers(1, _MAX_WEIGHT)))


# ---- plain ----


def _plain(updates: Mapping[str, Update], staying: set[str]) -> Cpu:
    """Each device is given the model, and gives its update; the mean is made as updates come."""
    cpu = Cpu()
    model = _update(0).arrays
    sums = {name: np.zeros(shape, np.float32) for name, shape in _SHAPES.items()}
    weight = 0
    for name, update in updates.items():
        with cpu.of("hub"):
            sent = _sent(RecordDict({_MODEL: _record(model)}))
        if name not in staying:
            continue
        with cpu.of("devices"):
            asked = _received(sent)
            _arrays(asked.content.array_records[_MODEL])
            metrics = MetricRecord({"num-examples": update.weight})
            answer = _replied(asked, RecordDict({_ANSWER: _record(update.arrays), _METRICS: metrics}))
        with cpu.of("hub"):
            content = _received(answer).content
            samples = content.metric_records[_METRICS]["num-examples"]
            assert isinstance(samples, int)
            for key, array in _arrays(content.array_records[_ANSWER]).items():
                sums[key] += array * np.float32(samples)
            weight += samples
    with cpu.of("hub"):
        for array in sums.values():
            array /= weight
    return cpu


# ---- secure ----


class _Secure:
    """The same; the model goes out with the question that the masked vector answers."""

    def __init__(self, updates: Mapping[str, Update]) -> None:
        self._updates = updates
        self._states = dict.fromkeys(updates, device.NEW)
        self._hub: HubRound | None = None
        self._begun = 0

    def round(self, staying: set[str]) -> Cpu:
        cpu = Cpu()
        with cpu.of("hub"):
            hub = (self._hub and self._hub.following()) or self._circle()
        masked: dict[str, bytes] = {}
        while hub.stage is not Stage.DONE:
            self._exchange(hub, cpu, staying, masked)
        with cpu.of("hub"):
            total = hub.total((name, masked[name]) for name in hub.counted())
        _check(total.mean, [update for name, update in self._updates.items() if name in staying])
        self._hub = hub
        return cpu

    def _circle(self) -> HubRound:
        devices = list(self._updates)
        parameters = Parameters.checked(devices=len(devices), length=_LENGTH, clip=_CLIP, max_weight=_MAX_WEIGHT)
        self._begun += 1
        return HubRound.begin("1", 1 + self._begun * ROUNDS, parameters, devices, dropout=_DROPOUT)

    def _exchange(self, hub: HubRound, cpu: Cpu, staying: set[str], masked: dict[str, bytes]) -> None:
        model = _update(0).arrays
        masking = hub.stage is Stage.MASK
        with cpu.of("hub"):
            questions = hub.questions()
        for name, question in questions:
            with cpu.of("hub"):
                content = RecordDict({_QUESTION: ConfigRecord({_QUESTION: question})})
                if masking:
                    content[_MODEL] = _record(model)
                sent = _sent(content)
            if masking and name not in staying:
                continue
            one = cpu if name in staying else Cpu()
            with one.of("devices"):
                self._states[name], answer = _device(one, self._states[name], sent, self._updates[name])
            with cpu.of("hub"):
                told = _answer_in(_received(answer).content)
                if masking:
                    masked[name] = told
                hub.take(name, told)
        with cpu.of("hub"):
            hub.close(renews=True)


def _device(cpu: Cpu, state: bytes, sent: Sent, update: Update) -> tuple[bytes, Sent]:
    asked = _received(sent)
    question = asked.content.config_records[_QUESTION][_QUESTION]
    assert isinstance(question, bytes)
    needs_update = device.needs_update(state, question)
    if needs_update:
        _arrays(asked.content.array_records[_MODEL])
    with cpu.of("arithmetic"):
        after, answer = device.answered(state, question, update.to_mask() if needs_update else None)
    return after, _replied(asked, RecordDict({_ANSWER: _carried(answer)}))


def _carried(answer: bytes) -> ArrayRecord | ConfigRecord:
    """Of a large one Flower makes the fewest copies as an array."""
    if len(answer) < _LENGTH:
        return ConfigRecord({_ANSWER: answer})
    return ArrayRecord({_ANSWER: Array("uint8", (len(answer),), "messagepack", answer)})


def _answer_in(content: RecordDict) -> bytes:
    if _ANSWER in content.array_records:
        return content.array_records[_ANSWER][_ANSWER].data
    answer = content.config_records[_ANSWER][_ANSWER]
    assert isinstance(answer, bytes)
    return answer


def _check(mean: NDArray[np.float32], counted: list[Update]) -> None:
    weight = sum(update.weight for update in counted)
    flat = [np.concatenate([array.ravel() for array in update.arrays.values()]) for update in counted]
    exact = sum(values.astype(float) * update.weight for values, update in zip(flat, counted, strict=True))
    if np.abs(exact / weight - mean).max() > 1e-6:
        raise Rejected("the mean is not that of the updates")


# ---- transport ----


def _sent(content: RecordDict) -> Sent:
    """As a Grid sends a message: its id, and its objects."""
    message = Message(content, dst_node_id=1, message_type="train")
    message.metadata.__dict__["_message_id"] = message.object_id
    with no_object_id_recompute():
        get_object_tree(message).SerializeToString()
        objects = {key: item.deflate() for key, item in get_all_nested_objects(message).items()}
    return message.metadata.message_id, objects


def _replied(asked: Message, content: RecordDict) -> Sent:
    _, items = flatten(Message(content, reply_to=asked), asked, 1.0)
    objects = {item.object_id: item.content for item in items}
    return next(reversed(objects)), objects


def _received(sent: Sent) -> Message:
    message_id, objects = sent
    return inflate(message_id, dict(objects))


def _record(arrays: Arrays) -> ArrayRecord:
    return ArrayRecord({name: Array(array) for name, array in arrays.items()})


def _arrays(record: ArrayRecord) -> Arrays:
    return {name: array.numpy() for name, array in record.items()}
