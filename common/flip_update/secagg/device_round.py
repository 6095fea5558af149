"""One device's part in one round: each step takes what the hub asks and gives the state after it, and the answer.

Secrets are drawn or derived for one round and are in its state alone; a step's secrets go when they are not needed any
more, all of the round's once the shares are revealed. `device` sees to it that a step is taken once.
"""

import os
from collections.abc import Sequence
from typing import NamedTuple, Self

from msgspec import Struct, structs

from flip_runtime.errors import Rejected
from flip_update.secagg import masks, parcels
from flip_update.secagg.fixed_point import Array, Words, words_of
from flip_update.secagg.keys import ROUNDS, OwnKey, Pair, stepped
from flip_update.secagg.messages import (
    Advertised,
    Delivery,
    Masked,
    Neighbourhood,
    Parcel,
    Revealed,
    Seed,
    Setup,
    Share,
    Shared,
    Unmasking,
)
from flip_update.secagg.parameters import Parameters
from flip_update.secagg.parcels import Dealing, Shares
from flip_update.secagg.shamir import split


class Update(NamedTuple):
    arrays: Sequence[Array]
    """float32 or float64, of any shapes: their values one after the other, in the order that all devices have."""
    weight: int
    """In the mean: the number of samples, or 1 where all count alike."""


class Given(Struct, frozen=True):
    """A question that was answered."""

    question: bytes
    """Its SHA-256."""
    answer: bytes


class Held(Struct, frozen=True, kw_only=True):
    """Shares of a neighbour's secrets."""

    number: int
    self_seed: bytes
    escrow_key: bytes


class DeviceRound(Struct, frozen=True, kw_only=True):
    run: str
    round: int
    began: int
    """The round in which the keys were agreed on."""
    parameters: Parameters
    given: tuple[Given, ...] = ()
    """By stage."""
    before: Given | None = None
    """What ended the round before this one."""
    private_key: bytes = b""
    """Until the pairs are derived from it."""
    number: int = 0
    threshold: int = 0
    pairs: tuple[Pair, ...] = ()
    self_seed: bytes = b""
    held: tuple[Held, ...] = ()
    """Of the neighbours that this device has masked with."""

    @classmethod
    def begin(cls, asked: Setup) -> tuple[Self, Advertised]:
        own = OwnKey.drawn()
        begun = cls(
            run=asked.run, round=asked.round, began=asked.round, parameters=asked.parameters, private_key=own.private
        )
        return begun, Advertised(run=asked.run, round=asked.round, public_key=own.public)

    def share(self, asked: Neighbourhood) -> tuple[Self, Shared]:
        """Raises `Rejected` for a circle that is none, or keys that are weak or come twice."""
        own = OwnKey.kept(self.private_key)
        _refuse_circle(asked, own.public, self.parameters)
        pairs = tuple(own.pair_with(neighbour, asked.number, self.run, self.round) for neighbour in asked.neighbours)
        threshold = asked.ring.threshold
        return structs.replace(self, private_key=b"", number=asked.number, threshold=threshold, pairs=pairs)._deal()

    def renew(self, round_: int) -> tuple[Self, Shared]:
        """For a later number: all secrets of this one are gone then. Raises `Rejected` past what the keys are for."""
        if round_ - self.began >= ROUNDS:
            raise Rejected(f"round {round_} with keys of round {self.began}", hint=f"they serve {ROUNDS} numbers")
        pairs = self.pairs
        for number in range(self.round + 1, round_ + 1):
            pairs = stepped(pairs, self.run, number)
        after = structs.replace(self, round=round_, given=(), before=None, pairs=pairs, held=())
        return after._deal()

    def _deal(self) -> tuple[Self, Shared]:
        self_seed, escrow_key = os.urandom(masks.SEED), os.urandom(masks.SEED)
        holders = [pair.number for pair in self.pairs]
        dealt = zip(
            self.pairs,
            split(self_seed, holders, self.threshold),
            split(escrow_key, holders, self.threshold),
            strict=True,
        )
        answer = Shared(
            run=self.run,
            round=self.round,
            seal=parcels.seal(self_seed, self.run, self.round, self.number),
            escrow=parcels.escrow(escrow_key, [p.mask_seed for p in self.pairs], self.run, self.round, self.number),
            parcels=[
                parcels.parcel(Shares(first, second), pair, Dealing(self.run, self.round, self.number, pair.number))
                for pair, first, second in dealt
            ],
        )
        return structs.replace(self, self_seed=self_seed), answer

    def refuse_delivery(self, asked: Delivery) -> None:
        """Raises `Rejected` when too few neighbours have shared to hide an update well, or others have."""
        numbers = {parcel.number for parcel in asked.parcels}
        if len(numbers) != len(asked.parcels) or not numbers.issubset(pair.number for pair in self.pairs):
            raise Rejected("parcels that are not of this device's neighbours")
        self._refuse_few(len(numbers))

    def _refuse_few(self, shared: int) -> None:
        if shared < self.threshold:
            raise Rejected(f"{shared} neighbours have shared and {self.threshold} are needed")

    def mask(self, asked: Delivery, update: Update) -> tuple[Self, Masked]:
        """Raises `Rejected` for an update that the parameters have no room for, and as `refuse_delivery`."""
        self.refuse_delivery(asked)
        held, unopened = self._opened(asked.parcels, {pair.number: pair for pair in self.pairs})
        self._refuse_few(len(held))
        words = words_of(update.arrays, update.weight, self.parameters)
        after = structs.replace(self, held=held)
        after._hide(words)
        return after, Masked(run=self.run, round=self.round, unopened=unopened, vector=words.data.cast("B"))

    def reveal(self, asked: Unmasking) -> tuple[Self, Revealed]:
        """And on to the next round, where that is asked for: what it deals there goes with what it reveals here.

        Raises `Rejected` when both secrets of one device are asked for, or the sum would be of too few.
        """
        held = {each.number: each for each in self.held}
        asked_for = [*asked.sent, *asked.dropped]
        if len(set(asked_for)) != len(asked_for):
            raise Rejected("both secrets of one device are asked for", hint="the hub would learn its update")
        if not held.keys() >= set(asked_for):
            raise Rejected("secrets are asked for of devices that this one has not masked with")
        if len(asked.sent) < self.threshold:
            raise Rejected(f"{len(asked.sent)} neighbours are in the sum and {self.threshold} are needed")
        seeds = {pair.number: pair.mask_seed for pair in self.pairs}
        answer = Revealed(
            run=self.run,
            round=self.round,
            self_seeds=[Share(number, held[number].self_seed) for number in asked.sent],
            escrow_keys=[Share(number, held[number].escrow_key) for number in asked.dropped],
            mask_seeds=[Seed(number, seeds[number]) for number in asked.dropped],
        )
        if not asked.renews:
            return self.without_secrets(), answer
        after, renewed = self.renew(self.round + 1)
        return after, structs.replace(answer, renewed=renewed)

    def without_secrets(self) -> Self:
        return structs.replace(self, private_key=b"", pairs=(), self_seed=b"", held=())

    def _opened(self, delivered: list[Parcel], pairs: dict[int, Pair]) -> tuple[tuple[Held, ...], list[int]]:
        held: list[Held] = []
        unopened: list[int] = []
        for parcel in delivered:
            dealing = Dealing(self.run, self.round, parcel.number, self.number)
            try:
                shares = parcels.opened(parcel, pairs[parcel.number], dealing)
            except Rejected:
                unopened.append(parcel.number)
            else:
                held.append(Held(number=parcel.number, self_seed=shares.self_seed, escrow_key=shares.escrow_key))
        return tuple(held), unopened

    def _hide(self, words: Words) -> None:
        """A pair's mask is added by the end with the lower number, taken away by the other: in the sum they cancel."""
        with_whom = {each.number for each in self.held}
        pairs = [pair for pair in self.pairs if pair.number in with_whom]
        plus = [self.self_seed, *(pair.mask_seed for pair in pairs if self.number < pair.number)]
        masks.add(words, plus, [pair.mask_seed for pair in pairs if pair.number < self.number])


def _refuse_circle(asked: Neighbourhood, public_key: bytes, parameters: Parameters) -> None:
    """Checks what a device can of it: that the others exist it has to believe."""
    asked.ring.check()
    if not parameters.least <= asked.ring.size <= parameters.devices:
        raise Rejected(f"a round of {asked.ring.size} devices, not {parameters.least} to {parameters.devices}")
    if asked.number >= asked.ring.size:
        raise Rejected(f"number {asked.number} of {asked.ring.size} devices")
    if [neighbour.number for neighbour in asked.neighbours] != asked.ring.neighbours(asked.number):
        raise Rejected("the neighbours are not those of the circle")
    if len({public_key, *(neighbour.public_key for neighbour in asked.neighbours)}) != asked.ring.degree + 1:
        raise Rejected("two devices with one key")
