"""Every strategy of Flower's has a name; its options are its constructor's, and what cannot be meant is refused."""

import inspect
import math
from typing import Any

import flwr.serverapp.strategy as flower
import pytest

from flip_hub.federation.aggregator.strategies.catalogue import catalogue, make, schema
from flip_hub.federation.aggregator.strategies.fedbuff import FedBuff
from flip_hub.federation.strategy_schemas import OptionKind
from flip_runtime.errors import Rejected

NAMES = [
    *("bulyan", "fedadagrad", "fedadam", "fedavg", "fedavgm", "fedbuff", "fedmedian", "fedprox", "fedtrimmedavg"),
    *("fedxgbbagging", "fedxgbcyclic", "fedyogi", "krum", "multikrum", "qfedavg"),
]
NEEDED: dict[str, dict[str, Any]] = {"qfedavg": {"client_learning_rate": 0.1}}


def test_it_lists_every_strategy_of_flowers_but_wrappers_and_fedbuff() -> None:
    assert list(catalogue()) == NAMES
    left_out = {name for name in flower.__all__ if name.lower() not in catalogue()}
    assert all(name in ("Result", "Strategy") or name.startswith("DifferentialPrivacy") for name in left_out)


@pytest.mark.parametrize("name", NAMES)
def test_each_is_described_and_can_be_made(name: str) -> None:
    found = schema(name)
    assert type(make(name, NEEDED.get(name, {}))).__name__ == found.title
    assert found.summary
    assert found.summary[-1] != "."
    assert all(option.text for option in found.options)
    assert all((option.default is None) == option.required for option in found.options)


@pytest.mark.parametrize("name", NAMES)
def test_options_are_those_of_the_constructor_that_are_no_functions(name: str) -> None:
    strategy = FedBuff if name == "fedbuff" else getattr(flower, schema(name).title)
    parameters = inspect.signature(strategy).parameters
    assert {option.name for option in schema(name).options} == {
        each for each in parameters if not each.endswith("_fn") and each != "selection_rule"
    }


def test_defaults_and_bounds_can_be_taken() -> None:
    for name, found in catalogue().items():
        for option in found.options:
            if not option.required:
                make(name, {**NEEDED.get(name, {}), option.name: option.default or 0})


def test_an_option_is_described_with_its_kind_default_and_bounds() -> None:
    options = {option.name: option for option in schema("fedadam").options}
    eta, beta = options["eta"], options["beta_1"]
    assert (eta.kind, eta.default, eta.above) == (OptionKind.FLOAT, 0.1, 0)
    assert (beta.default, beta.least, beta.below) == (0.9, 0, 1)
    assert options["min_train_nodes"].kind is OptionKind.INT
    assert "Server-side learning rate" in eta.text


def test_what_is_given_reaches_the_strategy() -> None:
    strategy: Any = make("fedadam", {"eta": 1, "beta_1": 0.5, "min_train_nodes": 7, "weighted_by_key": "rows"})
    assert (strategy.eta, strategy.beta_1, strategy.min_train_nodes, strategy.weighted_by_key) == (1.0, 0.5, 7, "rows")
    assert isinstance(strategy.eta, float), "a whole number is a number, too"
    buffered: Any = make("fedbuff", {"buffer_size": 3, "staleness_exponent": 1.0})
    assert (buffered.buffer_size, buffered.staleness_exponent, buffered.min_train_nodes) == (3, 1.0, 0)


@pytest.mark.parametrize(
    ("name", "options", "told"),
    [
        ("fedsgd", {}, "plan.strategy: there is no 'fedsgd' (there are: bulyan, fedadagrad,"),
        ("fedavg", {"eta": 0.1}, "plan.options.eta: fedavg has no such option (it has: fraction_train,"),
        ("fedavg", {"train_metrics_aggr_fn": "os.system"}, "plan.options.train_metrics_aggr_fn: fedavg has no such"),
        ("qfedavg", {}, "plan.options.client_learning_rate: it is not given, and has no default"),
        ("fedadam", {"eta": "fast"}, "plan.options.eta: 'fast' is not possible (it must be a number, above 0;"),
        ("fedadam", {"eta": True}, "plan.options.eta: 'True' is not possible"),
        ("fedadam", {"eta": 0.0}, "plan.options.eta: '0.0' is not possible"),
        ("fedadam", {"eta": math.nan}, "plan.options.eta: 'nan' is not possible"),
        ("fedadam", {"eta": math.inf}, "plan.options.eta: 'inf' is not possible"),
        ("fedadam", {"beta_1": 1.0}, "plan.options.beta_1: '1.0' is not possible (it must be a number, at least 0 and"),
        ("fedavg", {"fraction_train": 1.5}, "(it must be a number, at least 0 and at most 1;"),
        ("fedavg", {"min_train_nodes": 2.0}, "plan.options.min_train_nodes: '2.0' is not possible (it must be a whole"),
        ("fedavg", {"min_train_nodes": -1}, "plan.options.min_train_nodes: '-1' is not possible"),
        ("fedavg", {"min_train_nodes": True}, "plan.options.min_train_nodes: 'True' is not possible"),
        ("fedavg", {"arrayrecord_key": ""}, "plan.options.arrayrecord_key: '' is not possible (it must be a text of"),
        ("fedavg", {"arrayrecord_key": "x" * 101}, "plan.options.arrayrecord_key: "),
        ("fedtrimmedavg", {"beta": 0.5}, "plan.options.beta: '0.5' is not possible (it must be a number, at least 0"),
        ("fedxgbcyclic", {"fraction_train": 0.5}, "(it must be 0 or 1; flip-hub strategies show fedxgbcyclic)"),
        ("fedbuff", {"buffer_size": 0}, "plan.options.buffer_size: '0' is not possible"),
        ("fedbuff", {"fraction_train": 1.0}, "plan.options.fraction_train: fedbuff has no such option"),
    ],
)
def test_what_cannot_be_meant_is_refused_with_the_options_name_and_the_way_out(
    name: str, options: dict[str, Any], told: str
) -> None:
    with pytest.raises(Rejected) as error:
        make(name, options)
    assert told in str(error.value)


def test_what_a_strategy_needs_is_known_before_it_starts() -> None:
    streams = {name for name, found in catalogue().items() if found.need.streams}
    assert streams == {"fedavg", "fedprox", "fedbuff"}
    mebibyte = 2**20
    assert schema("fedavg").need.in_bytes(10 * mebibyte, 1000) == 50 * mebibyte
    assert schema("krum").need.in_bytes(10 * mebibyte, 1000) == 40_060 * mebibyte
