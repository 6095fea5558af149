"""What releases cost, against the closed form of the Gaussian mechanism and dp-accounting's own accountants."""

import math

import dp_accounting  # pyright: ignore[reportMissingTypeStubs]
import pytest
from dp_accounting.pld import PLDAccountant  # pyright: ignore[reportMissingTypeStubs]
from dp_accounting.rdp import RdpAccountant  # pyright: ignore[reportMissingTypeStubs]
from flwr.supercore.differential_privacy import compute_adaptive_noise_params
from hypothesis import assume, given
from hypothesis import strategies as st

from flip_hub.federation.privacy.account import epsilon_of, multiplier_within, plus, rounds_within
from flip_hub.federation.privacy.schemas import HubAdaptive, Local, Release

MULTIPLIERS = st.floats(0.3, 50)
DELTAS = st.sampled_from([1e-9, 1e-6, 1e-5, 1e-3])


def times(multiplier: float, count: int) -> list[Release]:
    return [Release(noise_multiplier=multiplier, times=count)]


def delta_of(multiplier: float, epsilon: float) -> float:
    """Of one Gaussian release (Balle and Wang 2018, theorem 8)."""
    half, rest = 1 / (2 * multiplier), epsilon * multiplier
    return below(half - rest) - math.exp(epsilon) * below(-half - rest)


def below(x: float) -> float:
    """The normal distribution's, also far out."""
    return math.erfc(-x / math.sqrt(2)) / 2


def test_nothing_released_is_nothing_spent() -> None:
    assert epsilon_of([], 1e-5) == 0.0


def test_known_values() -> None:
    assert epsilon_of(times(1.0, 1), 1e-5) == pytest.approx(4.3772, abs=1e-4)
    assert epsilon_of(times(1.0, 20), 1e-5) == pytest.approx(28.3735, abs=1e-4)
    assert epsilon_of(times(3.730632, 1), 1e-5) == pytest.approx(1.0, abs=1e-6)


@given(MULTIPLIERS, st.integers(1, 200), DELTAS)
def test_epsilon_is_that_of_the_closed_form(multiplier: float, count: int, delta: float) -> None:
    together = multiplier / math.sqrt(count)
    epsilon = epsilon_of(times(multiplier, count), delta)
    assume(0 < epsilon < 20)  # beyond, the difference of the form's two terms is lost in a float
    assert delta_of(together, epsilon) == pytest.approx(delta, rel=1e-6, abs=1e-15)


@given(MULTIPLIERS, st.integers(1, 200), DELTAS)
def test_renyi_accounting_never_says_less(multiplier: float, count: int, delta: float) -> None:
    renyi = RdpAccountant()
    renyi.compose(dp_accounting.GaussianDpEvent(multiplier), count)
    assert epsilon_of(times(multiplier, count), delta) <= float(renyi.get_epsilon(delta)) + 1e-9


@pytest.mark.parametrize(("multiplier", "count", "delta"), [(1.0, 1, 1e-5), (2.5, 20, 1e-5), (6.0, 100, 1e-6)])
def test_privacy_loss_distributions_say_the_same(multiplier: float, count: int, delta: float) -> None:
    losses = PLDAccountant()
    losses.compose(dp_accounting.GaussianDpEvent(multiplier), count)
    assert epsilon_of(times(multiplier, count), delta) == pytest.approx(float(losses.get_epsilon(delta)), rel=1e-3)


def test_releases_with_different_noise_add_up() -> None:
    losses = PLDAccountant()
    losses.compose(dp_accounting.GaussianDpEvent(2.0), 3).compose(dp_accounting.GaussianDpEvent(5.0), 7)
    both = plus(times(2.0, 3), 5.0, 7)
    assert epsilon_of(both, 1e-5) == pytest.approx(float(losses.get_epsilon(1e-5)), rel=1e-3)


def test_more_of_the_same_is_one_entry() -> None:
    assert plus(plus([], 2.0), 2.0, 4) == times(2.0, 5)


@given(st.floats(0.1, 50), DELTAS, st.integers(1, 300), st.integers(0, 50))
def test_what_is_said_to_fit_fits_and_no_more(budget: float, delta: float, rounds: int, earlier: int) -> None:
    before = times(30.0, earlier) if earlier else []
    least = multiplier_within(budget, delta, rounds, before)
    if least is None:
        assert epsilon_of(before, delta) >= budget * (1 - 1e-9)
        return
    assert epsilon_of(plus(before, least, rounds), delta) == pytest.approx(budget, rel=1e-6)
    fit = rounds_within(budget, delta, least * 1.0000001, before)
    assert fit == rounds
    assert epsilon_of(plus(before, least * 1.0000001, fit), delta) <= budget
    assert rounds_within(budget, delta, least * 0.9999999, before) == rounds - 1


def test_budgets_out_of_all_bounds_are_answered_too() -> None:
    assert epsilon_of(times(1e-9, 10**6), 1e-15) > 1e20
    assert epsilon_of(times(1e9, 10**6), 0.5) == 0.0
    assert rounds_within(1e9, 0.5, 1e9) == 2**53
    assert rounds_within(1e-9, 1e-15, 1e-9) == 0


def test_an_adaptive_round_costs_what_its_two_releases_cost_together() -> None:
    """The mean with Flower's own multiplier, and the count of clipped updates, of which a device changes one half."""
    privacy = HubAdaptive(noise_multiplier=1.3, clipping_norm=0.1, clipped_count_stddev=2.0, budget=8.0, delta=1e-5)
    _, of_the_mean = compute_adaptive_noise_params(1.3, 100, 2.0)
    losses = PLDAccountant()
    losses.compose(dp_accounting.GaussianDpEvent(of_the_mean), 1)
    losses.compose(dp_accounting.GaussianDpEvent(2.0 / 0.5), 1)
    one = epsilon_of(times(privacy.released_with, 1), 1e-5)
    assert one == pytest.approx(float(losses.get_epsilon(1e-5)), rel=1e-3)
    assert of_the_mean > 1.3


def test_a_local_message_costs_by_how_much_two_updates_can_differ() -> None:
    honest = Local(clipping_norm=0.5, message_epsilon=0.9, message_delta=1e-5, budget=8.0, delta=1e-5)
    assert honest.stddev == pytest.approx(1.0 * math.sqrt(2 * math.log(1.25e5)) / 0.9)
    assert epsilon_of(times(honest.released_with, 1), 1e-5) < 0.9  # the formula of the noise is an upper bound
    hopeful = Local(clipping_norm=0.5, sensitivity=0.1, message_epsilon=0.9, message_delta=1e-5, budget=8, delta=1e-5)
    assert epsilon_of(times(hopeful.released_with, 1), 1e-5) > 8
