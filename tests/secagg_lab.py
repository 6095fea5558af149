"""Rounds of secure aggregation without a network: devices that are bytes of state, and a hub that is stored and read
again before every stage."""

from collections.abc import Callable, Collection, Mapping
from random import Random

import msgspec
import numpy as np
from numpy.typing import NDArray

from flip_runtime.errors import Rejected
from flip_update.secagg import device
from flip_update.secagg.device import Update
from flip_update.secagg.device_round import DeviceRound
from flip_update.secagg.fixed_point import Total
from flip_update.secagg.hub_round import HubRound
from flip_update.secagg.members import HubState, Stage
from flip_update.secagg.messages import Answer, answer_of, encode
from flip_update.secagg.parameters import FEWEST, Parameters
from flip_update.secagg.ring import Ring

RUN = "7"
Tamper = Callable[[Stage, str, bytes], bytes]
"""What a device answers in a stage, instead of what it should."""

WRONG = "device-1"
"""Who does what it should not."""


def at(stage: Stage, change: Callable[..., Answer]) -> Mapping[str, Tamper]:
    """In one stage `WRONG` answers otherwise."""

    def tamper(now: Stage, _: str, answer: bytes) -> bytes:
        return encode(change(answer_of(answer))) if now is stage else answer

    return {WRONG: tamper}


def bent(content: bytes) -> bytes:
    """By one bit."""
    return bytes([content[0] ^ 1]) + content[1:]


class Lab:
    def __init__(
        self,
        devices: int = 9,
        *,
        length: int = 5,
        dropout: float = 0.34,
        colluding: float = 0.12,
        seed: int = 0,
        least: int = 3,
    ) -> None:
        chance = Random(seed)
        numbers = np.random.default_rng(seed)
        self.names = [f"device-{number}" for number in range(devices)]
        self.updates = {
            name: Update([numbers.uniform(-1, 1, length).astype(np.float32)], chance.randint(1, 100))
            for name in self.names
        }
        self.parameters = Parameters.checked(devices=devices, length=length, clip=1.0, max_weight=100, least=least)
        self.dropout, self.colluding = dropout, colluding
        self.states = dict.fromkeys(self.names, device.NEW)
        self.own_least: dict[str, int] = {}
        """Of devices that have a minimum of their own."""
        self.round = 0
        self.renews = False
        """Whether devices deal for the next round when they reveal."""
        self.begin()

    def begin(self) -> None:
        """The next round."""
        self.round += 1
        self.masked: dict[str, bytes] = {}
        self.hub = HubRound.begin(
            RUN, self.round, self.parameters, self.names, dropout=self.dropout, colluding=self.colluding
        )

    def follow(self) -> None:
        """The next round, with the same circle."""
        following = HubRound.resumed(self.hub.stored()).following()
        assert following
        self.hub, self.masked = following, {}
        self.round += 1

    @property
    def state(self) -> HubState:
        """What the hub has stored, to look at."""
        return msgspec.msgpack.decode(self.hub.stored(), type=HubState)

    @property
    def ring(self) -> Ring:
        return self.state.graph

    def device(self, name: str) -> DeviceRound:
        """What a device has stored, to look at."""
        return msgspec.msgpack.decode(self.states[name], type=DeviceRound)

    def question(self, name: str) -> bytes:
        return dict(self.hub.questions())[name]

    def answer(self, name: str, question: bytes) -> bytes:
        """The state is kept before the answer leaves."""
        state, own_least = self.states[name], self.own_least.get(name, FEWEST)
        update = self.updates[name] if device.needs_update(state, question, own_least) else None
        self.states[name], answer = device.answered(state, question, update, own_least)
        return answer

    def ask(self, *, absent: Collection[str] = (), tamper: Mapping[str, Tamper] | None = None) -> dict[str, str]:
        """One stage, not closed. Gives the reasons of those whose answers were refused."""
        self.hub = HubRound.resumed(self.hub.stored())
        refused: dict[str, str] = {}
        for name, question in self.hub.questions():
            if name in absent:
                continue
            try:
                answer = self.answer(name, question)
            except Rejected as error:
                self.hub.refuse(name, str(error))
                refused[name] = str(error)
                continue
            if tamper and name in tamper:
                answer = tamper[name](self.hub.stage, name, answer)
            try:
                self.hub.take(name, answer)
            except Rejected as error:
                refused[name] = str(error)
            else:
                if self.hub.stage is Stage.MASK:
                    self.masked[name] = answer
        return refused

    def go_on(self, *, absent: Collection[str] = (), tamper: Mapping[str, Tamper] | None = None) -> dict[str, str]:
        """One stage, and on to the next."""
        refused = self.ask(absent=absent, tamper=tamper)
        self.hub.close(renews=self.renews)
        return refused

    def play(self, tamper: Mapping[str, Tamper]) -> dict[str, str]:
        """To the end; who was refused, and why."""
        while self.hub.stage < Stage.DONE:
            self.go_on(tamper=tamper)
        return self.hub.refused()

    def until(self, stage: Stage) -> None:
        while self.hub.stage < stage:
            self.go_on()

    def total(self) -> Total:
        return self.hub.total((name, self.masked[name]) for name in reversed(self.hub.counted()))

    def mean_of(self, names: Collection[str]) -> NDArray[np.float64]:
        weight = sum(self.updates[name].weight for name in names)
        weighted = [self.updates[name].arrays[0].astype(np.float64) * self.updates[name].weight for name in names]
        return np.sum(weighted, axis=0) / weight

    def check(self, total: Total, names: Collection[str]) -> None:
        """That it is the mean of these devices' updates."""
        weight = sum(self.updates[name].weight for name in names)
        assert (total.devices, total.weight, total.clipped) == (len(names), weight, 0)
        bound = self.parameters.error_bound(len(names), weight)
        assert np.abs(total.mean - self.mean_of(names)).max() <= bound
