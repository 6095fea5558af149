"""A clone is told from restarts, reboots and delayed requests, whatever the order in which they arrive."""

import itertools
import random

import pytest

from flip_hub.devices.lives import ON_THE_WAY, Call, Life, clone, heard

NOW = 1_700_000_000.0


def _call(life: str, born: float) -> Call:
    return Call(wire_version=3, life=life, born=born, address=f"10.0.0.{born:g}")


def _after(calls: list[Call]) -> list[Life]:
    lives: list[Life] = []
    for at, call in enumerate(calls):
        lives = heard(lives, call, NOW + at)
    return lives


def _restarts(chance: random.Random) -> list[Call]:
    """What arrives of an agent that lives many times: each life leaves up to `ON_THE_WAY` requests in the network,
    which come at any time afterwards, also after several later lives have begun."""
    due: list[tuple[float, int, Call]] = []
    for number in range(chance.randrange(1, 30)):
        call = _call(f"life-{number}", born=float(number))
        alive = [number + chance.random() for _ in range(chance.randrange(0, 6))]
        delayed = [number + 1 + chance.expovariate(1 / 3) for _ in range(ON_THE_WAY)]
        due += [(at, number, call) for at in (*alive, *delayed)]
    return [call for _, _, call in sorted(due, key=lambda each: each[:2])]


@pytest.mark.parametrize("seed", range(300))
def test_no_sequence_of_restarts_and_delays_looks_like_a_clone(seed: int) -> None:
    lives: list[Life] = []
    for at, call in enumerate(_restarts(random.Random(seed))):
        lives = heard(lives, call, NOW + at)
        assert clone(lives, NOW) is None
        assert len(lives) <= 8


@pytest.mark.parametrize("seed", range(100))
def test_two_that_go_on_are_found_with_both_of_them_whatever_came_before(seed: int) -> None:
    chance = random.Random(seed)
    lives = _after(_restarts(chance))
    two = [_call("here", born=100.0), _call("there", born=100.0 + chance.random())]
    turns = itertools.chain.from_iterable([two[0]] * chance.randrange(1, 4) + [two[1]] for _ in range(ON_THE_WAY + 2))
    for at, call in enumerate(turns):
        lives = heard(lives, call, NOW + at)
    found = clone(lives, NOW)
    assert found is not None
    assert {life.id for life in found.lives} == {"here", "there"}
    assert all(life.address for life in found.lives)


def test_an_agent_that_tells_no_life_is_never_a_clone() -> None:
    assert _after([_call("", 0.0)] * 20) == []


def test_a_life_that_goes_on_alone_costs_nothing() -> None:
    lives = _after([_call("a", 1.0)])
    assert heard(lives, _call("a", 1.0), NOW + 99) is lives


def test_two_tokens_of_one_life_are_one_life() -> None:
    """It renews its token each hour."""
    renewed = [_call("a", float(hour)) for hour in range(20)]
    assert [life.id for life in _after(renewed)] == ["a"]
