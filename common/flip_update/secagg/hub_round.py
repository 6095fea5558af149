"""The hub's end of one round: whom to ask what, and whether enough have answered.

Answers come in any order, one at a time. Whoever answers what it should not is out of the round, with the reason, and
the round goes on without it as long as enough of each device's neighbours are left. The state can be stored between
any two calls. Masked vectors are not in it: the caller keeps those answers, on its disk if they are large, and gives
the ones that count again, one by one. So a hub needs the memory of one sum, however many devices there are.
"""

from collections.abc import Iterable, Sequence
from random import SystemRandom
from typing import Final, NamedTuple, Self

import msgspec

from flip_runtime.errors import ConfigError, Corrupt, Rejected
from flip_update.secagg import hub_answers, unmasking
from flip_update.secagg.fixed_point import Total
from flip_update.secagg.keys import ROUNDS
from flip_update.secagg.members import HubState, Member, Stage
from flip_update.secagg.messages import Advertised, Answer, Masked, Revealed, Shared, answer_of, encode
from flip_update.secagg.parameters import Parameters
from flip_update.secagg.questions import question
from flip_update.secagg.ring import fitting
from flip_update.secagg.sufficiency import blamed, refuse_too_few, senders

DROPOUT: Final = 0.2
"""Share of the devices of a round that may fail after they have advertised."""
COLLUDING: Final = 0.1
"""Share of them that may tell the hub all that they know."""

_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(HubState)
_chance = SystemRandom()


class Asked(NamedTuple):
    device: str
    question: bytes


class HubRound:
    def __init__(self, state: HubState) -> None:
        self._state = state

    @classmethod
    def begin(
        cls,
        run: str,
        round_: int,
        parameters: Parameters,
        devices: Sequence[str],
        *,
        dropout: float = DROPOUT,
        colluding: float = COLLUDING,
    ) -> Self:
        """`round_` grows with every attempt. Raises `ConfigError` when so many devices cannot make a round."""
        parameters.check()
        if not 0 <= dropout < 1 or not 0 <= colluding < 1:
            raise ConfigError(f"shares of {dropout} (dropout) and {colluding} (colluding) are not in 0 to 1")
        if len(set(devices)) != len(devices):
            raise ConfigError("a device comes twice")
        if len(devices) > parameters.devices:
            raise ConfigError(f"{len(devices)} devices", hint=f"the parameters are for {parameters.devices} at most")
        try:
            fitting(len(devices), dropout, colluding, parameters.least)
        except Rejected as error:
            raise ConfigError(str(error)) from error
        members = {device: Member() for device in devices}
        return cls(
            HubState(
                run=run,
                round=round_,
                began=round_,
                parameters=parameters,
                dropout=dropout,
                colluding=colluding,
                members=members,
            )
        )

    @classmethod
    def resumed(cls, stored: bytes) -> Self:
        """Raises `Corrupt`."""
        try:
            return cls(_decoder.decode(stored))
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise Corrupt(f"the state of a round of secure aggregation: {error}") from error

    def following(self) -> "HubRound | None":
        """The next number, with the same circle: who has dealt for it is not asked to once more. None when the next
        round needs a new one: this one's keys were not renewed or are used up, or devices were refused in it."""
        state = self._state
        if state.stage is not Stage.DONE or not state.renews or self.refused():
            return None
        members = {device: _in_next_round(state.members[device]) for device in state.circle}
        return HubRound(
            HubState(
                run=state.run,
                round=state.round + 1,
                began=state.began,
                parameters=state.parameters,
                dropout=state.dropout,
                colluding=state.colluding,
                members=members,
                stage=Stage.SHARE,
                ring=state.ring,
                circle=state.circle,
            )
        )

    def stored(self) -> bytes:
        return _encoder.encode(self._state)

    # ---- what is asked ----

    @property
    def stage(self) -> Stage:
        return self._state.stage

    def questions(self) -> list[Asked]:
        """For all that the stage waits for, the same whenever it is called in it."""
        state = self._state
        return [Asked(device, encode(question(state, state.members[device]))) for device in self.waiting()]

    def waiting(self) -> list[str]:
        """Devices that were asked in this stage and have neither answered nor been refused."""
        state = self._state
        return [device for device in state.asked() if state.members[device].answered == state.stage < Stage.DONE]

    def refused(self) -> dict[str, str]:
        """Devices that are out of the round for what they have answered, and why."""
        return {device: member.refused for device, member in self._state.members.items() if member.refused}

    # ---- what is answered ----

    def take(self, device: str, answer: bytes) -> None:
        """Raises `Rejected`: this answer does not count.

        If it was the one that the stage waits for, the device is out of the round; a first answer stands.
        """
        member = self._expected(device)
        try:
            content = answer_of(answer)
            if (content.run, content.round) != (self._state.run, self._state.round):
                raise Rejected(f"an answer for round {content.round} of run {content.run}")
            self._note(member, content)
        except Rejected as error:
            member.refused = str(error)
            raise
        member.answered += 1

    def refuse(self, device: str, reason: str) -> None:
        """For one that has told that it cannot answer. Raises `Rejected` when the stage does not wait for it."""
        self._expected(device).refused = reason

    def _expected(self, device: str) -> Member:
        member = self._state.members.get(device)
        if member is None:
            raise Rejected(f"{device} is not in this round")
        if member.refused:
            raise Rejected(f"{device} is out of this round: {member.refused}")
        if member.answered > self._state.stage:
            raise Rejected(f"{device} has answered already", hint="its first answer stands")
        if member.answered < self._state.stage or self._state.stage is Stage.DONE:
            raise Rejected(f"{device} is too late", hint=f"the round is in stage {self._state.stage.name.lower()}")
        return member

    def _note(self, member: Member, answer: Answer) -> None:
        match self._state.stage, answer:
            case Stage.ADVERTISE, Advertised():
                hub_answers.advertised(self._state, member, answer)
            case Stage.SHARE, Shared():
                hub_answers.shared(self._state, member, answer)
            case Stage.MASK, Masked():
                hub_answers.masked(self._state, member, answer)
            case Stage.REVEAL, Revealed():
                hub_answers.revealed(self._state, member, answer)
            case _:
                raise Rejected(f"{type(answer).__name__} is no answer in stage {self._state.stage.name.lower()}")

    # ---- from stage to stage ----

    def enough(self) -> bool:
        """Whether the stage could be closed now. Who has not answered then is dropped."""
        try:
            refuse_too_few(self._state)
        except Rejected:
            return False
        return True

    def close(self, *, renews: bool = False) -> None:
        """On to the next stage, with those that have answered. Raises `Rejected` that says how many are lacking.

        `renews`: of the stage `MASK`, whether there shall be a next round with this circle (`following`): it has the
        next number, which must not have been another round's.
        """
        state = self._state
        if state.stage is Stage.DONE:
            raise Rejected("the round is over")
        refuse_too_few(state)
        match state.stage:
            case Stage.ADVERTISE:
                self._draw_circle()
            case Stage.SHARE:
                state.sharers = sorted(member.number for member in state.left())
            case Stage.MASK:
                self._count()
                state.renews = renews and self._can_renew()
            case _:
                pass
        state.stage = Stage(state.stage + 1)

    @property
    def parameters(self) -> Parameters:
        return self._state.parameters

    def devices(self) -> list[str]:
        """That the round was begun with."""
        return list(self._state.members)

    def counted(self) -> list[str]:
        """Devices whose updates are in the sum, once the stage `MASK` is closed."""
        return [self._state.circle[number] for number in self._state.counted]

    def total(self, masked: Iterable[tuple[str, bytes]]) -> Total:
        """When all stages are closed. `masked`: the answers of the stage `MASK` of those that are `counted`, by device,
        each once, in any order.

        Raises `Rejected` when the devices' secrets do not open, naming whose, or the sum is none of updates.
        """
        if self._state.stage is not Stage.DONE:
            raise Rejected(f"the round is in stage {self._state.stage.name.lower()}")
        return unmasking.total(self._state, masked)

    def _can_renew(self) -> bool:
        """Whether all devices of the circle have its keys, and have answered as they should."""
        state = self._state
        agreed = state.round > state.began or len(state.sharers) == len(state.circle)
        return agreed and state.round + 1 - state.began < ROUNDS and not self.refused()

    def _draw_circle(self) -> None:
        state = self._state
        state.circle = [device for device in state.asked() if state.members[device].answered > state.stage]
        _chance.shuffle(state.circle)
        for number, device in enumerate(state.circle):
            state.members[device].number = number
        state.ring = fitting(len(state.circle), state.dropout, state.colluding, state.parameters.least)

    def _count(self) -> None:
        state = self._state
        leaving = blamed(state)
        state.counted = senders(state)
        for number in leaving:
            state.at(number).refused = "what it has dealt to neighbours does not open there, or it says so of theirs"
        counted = set(state.counted)
        masked_with = {other for number in counted for other in state.at(number).opened}
        state.dropped = sorted(masked_with - counted)


def _in_next_round(member: Member) -> Member:
    dealt = member.revealed.renewed if member.revealed else None
    return Member(answered=Stage.SHARE if dealt is None else Stage.MASK, number=member.number, shared=dealt)
