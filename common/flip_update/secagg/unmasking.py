"""The sum of masked vectors, and how the masks come off it."""

from collections.abc import Iterable, Iterator
from typing import Literal, NamedTuple

import numpy as np

from flip_runtime.errors import Rejected
from flip_update.secagg import masks, parcels
from flip_update.secagg.fixed_point import Total, total_of, vector_of
from flip_update.secagg.members import HubState, among
from flip_update.secagg.messages import Masked, Revealed, answer_of
from flip_update.secagg.shamir import joined


class Seeds(NamedTuple):
    """Of streams that were added to the sum, and taken from it."""

    added: list[bytes]
    taken: list[bytes]


def total(state: HubState, masked: Iterable[tuple[str, bytes]]) -> Total:
    """`masked`: the answers of all devices that count, each once, in any order.

    Raises `Rejected` when what the devices have revealed does not open their secrets, or the sum is none of updates.
    """
    seeds = seeds_of(state)
    words = np.zeros(state.parameters.words, np.uint32)
    missing = {state.circle[number] for number in state.counted}
    for device, content in masked:
        answer = answer_of(content)
        if device not in missing or not isinstance(answer, Masked):
            raise Rejected(f"this answer of {device} does not count in this round, or comes twice")
        missing.remove(device)
        words += vector_of(answer.vector, state.parameters)
    if missing:
        raise Rejected(f"the answer of {min(missing)} is missing, which counts in this round")
    masks.add(words, plus=seeds.taken, minus=seeds.added)
    return total_of(words, len(state.counted), state.parameters)


def seeds_of(state: HubState) -> Seeds:
    """Of all masks that do not cancel: the self masks of those that count, and theirs with devices that do not."""
    seeds = Seeds([_self_seed(state, number) for number in state.counted], [])
    for number in state.dropped:
        for sender, seed in _mask_seeds(state, number).items():
            (seeds.added if sender < number else seeds.taken).append(seed)
    return seeds


def _self_seed(state: HubState, number: int) -> bytes:
    try:
        seed = joined(_shares(state, number, "self_seeds"))
        if parcels.seal(seed, state.run, state.round, number) != state.shared_by(number).seal:
            raise Rejected("they make another secret than it has committed to")
    except Rejected as error:
        device = state.circle[number]
        state.at(number).refused = f"the shares that it has dealt are wrong: {error}"
        raise Rejected(
            f"the vector of {device} cannot be unmasked: the shares that it has dealt are wrong",
            hint=f"the next round can do without {device}",
        ) from error
    return seed


def _mask_seeds(state: HubState, number: int) -> dict[int, bytes]:
    """Of a device that does not count, by the neighbours that count and have masked with it.

    As those neighbours have told. The device's own word, its escrow, serves for those that have not answered: whoever
    is not in the sum shall not be able to spoil it.
    """
    seeds = _told_seeds(state, number)
    near = state.graph.neighbours(number)
    wanted = [other for other in near if among(other, state.counted) and among(number, state.at(other).opened)]
    if all(sender in seeds for sender in wanted):
        return {sender: seeds[sender] for sender in wanted}
    try:
        key = joined(_shares(state, number, "escrow_keys"))
        dealt = parcels.seeds_in(state.shared_by(number).escrow, key, state.run, state.round, number)
    except Rejected as error:
        device = state.circle[number]
        raise Rejected(f"the masks of neighbours with {device}, which dropped out, stay on: {error}") from error
    seeds = dict(zip(near, dealt, strict=True)) | seeds
    return {sender: seeds[sender] for sender in wanted}


def _told_seeds(state: HubState, number: int) -> dict[int, bytes]:
    return {
        holder: seed.content
        for holder, told in _told_by_neighbours(state, number)
        for seed in told.mask_seeds
        if seed.number == number
    }


def _shares(state: HubState, number: int, of: Literal["self_seeds", "escrow_keys"]) -> list[tuple[int, bytes]]:
    """As many as the threshold says. Raises `Rejected`."""
    found = [
        (holder, share.content)
        for holder, told in _told_by_neighbours(state, number)
        for share in (told.self_seeds if of == "self_seeds" else told.escrow_keys)
        if share.number == number
    ]
    if len(found) < state.graph.threshold:
        raise Rejected(f"{len(found)} shares, {state.graph.threshold} are needed")
    return found[: state.graph.threshold]


def _told_by_neighbours(state: HubState, number: int) -> Iterator[tuple[int, Revealed]]:
    for holder in state.graph.neighbours(number):
        if told := state.at(holder).revealed:
            yield holder, told
