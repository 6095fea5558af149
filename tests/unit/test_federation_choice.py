"""A plan's strategy takes the place of the app's, and deals with devices as that does."""

import pytest
from flwr.serverapp.strategy import FedAdam, FedAvg, Krum

from flip_hub.federation.aggregator.choice import chosen_by
from flip_hub.federation.aggregator.strategies.fedbuff import FedBuff
from flip_hub.federation.plan import Plan
from flip_runtime.errors import Rejected

OWN = FedAvg(fraction_train=0.5, min_train_nodes=3, min_available_nodes=7, weighted_by_key="rows")


def test_without_a_plan_the_apps_own_strategy_runs() -> None:
    assert chosen_by(Plan())(OWN) is OWN


def test_what_the_plan_does_not_say_is_as_in_the_app() -> None:
    chosen = chosen_by(Plan(strategy="fedadam", options={"eta": 0.5, "min_train_nodes": 4}))(OWN)
    assert isinstance(chosen, FedAdam)
    assert (chosen.eta, chosen.min_train_nodes, chosen.fraction_train) == (0.5, 4, 0.5)
    assert (chosen.min_available_nodes, chosen.weighted_by_key) == (7, "rows")


def test_a_strategy_without_such_options_takes_those_that_it_has() -> None:
    chosen = chosen_by(Plan(strategy="fedbuff", options={"buffer_size": 5}))(OWN)
    assert isinstance(chosen, FedBuff)
    assert (chosen.buffer_size, chosen.min_available_nodes) == (5, 7)
    assert isinstance(chosen_by(Plan(strategy="krum"))(OWN), Krum)


def test_an_option_that_cannot_be_is_named() -> None:
    with pytest.raises(Rejected, match="eta"):
        chosen_by(Plan(strategy="fedadam", options={"eta": "fast"}))(OWN)
