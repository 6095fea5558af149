"""FedBuff: a step whenever K updates have come, stale ones with less weight; without delays it is FedAvg to the bit."""

import random

import numpy as np
import pytest
from flwr.app import MetricRecord
from flwr.serverapp.strategy import FedAvg

from flip_hub.federation.aggregator.strategies.fedbuff import FedBuff
from learning_devices import ALL, arrays_of, buffered, devices, instruction, model, run, samples, trained, work


@pytest.mark.parametrize("seed", range(4))
def test_with_all_devices_and_no_delay_each_step_is_a_round_of_fedavg_to_the_last_bit(seed: int) -> None:
    fedavg = FedAvg(min_train_nodes=8, min_available_nodes=8, fraction_evaluate=0.0)
    expected = fedavg.start(devices(), model(seed), num_rounds=5)
    steps = run(buffered(8), devices(), work(5), model(seed))
    assert steps[-1].arrays == expected.arrays
    assert {step.number: step.metrics for step in steps} == expected.train_metrics_clientapp


@pytest.mark.parametrize("seed", range(3))
def test_nor_do_delays_change_a_bit_while_it_waits_for_all(seed: int) -> None:
    draw = random.Random(seed)
    expected = FedAvg(min_train_nodes=8, fraction_evaluate=0.0).start(devices(), model(), num_rounds=4)
    steps = run(buffered(8), devices(lambda _: draw.expovariate(1 / 60)), work(4))
    assert steps[-1].arrays == expected.arrays
    assert all(taken.staleness == 0 for step in steps for taken in step.taken)


def test_a_stale_update_moves_the_model_by_its_change_with_less_weight() -> None:
    """Device 8 takes as long as three steps of the others."""
    steps = run(buffered(7), devices(lambda node: 35.0 if node == 8 else 10.0), work(4))
    stale = [(step.number, taken) for step in steps for taken in step.taken if taken.staleness]
    assert [(number, taken.node, taken.staleness) for number, taken in stale] == [(4, 8, 3)]
    before, last = steps[2].arrays, steps[3]
    of_all = sum(samples(taken.node) for taken in last.taken)
    assert stale[0][1].weight == pytest.approx(samples(8) / of_all * 4**-0.5)
    expected = {name: np.asarray(array.numpy(), "f8") for name, array in before.items()}
    for taken in last.taken:
        base, number, discount = (model(), 1, 0.5) if taken.node == 8 else (before, 4, 1.0)
        learnt = arrays_of(trained(instruction(taken.node, number, base)))
        for name in expected:
            change = learnt[name].numpy().astype("f8") - base[name].numpy()
            expected[name] = expected[name] + discount * samples(taken.node) / of_all * change
    for name, value in expected.items():
        np.testing.assert_allclose(last.arrays[name].numpy(), value, rtol=1e-5, atol=1e-5)
    assert last.arrays["w"].dtype == "float32"


def test_which_of_a_step_came_first_changes_no_bit_of_it() -> None:
    forth = run(buffered(8, server_learning_rate=0.7), devices(lambda node: node * 1.0), work(3))
    back = run(buffered(8, server_learning_rate=0.7), devices(lambda node: 9.0 - node), work(3))
    assert [step.arrays for step in forth] == [step.arrays for step in back]


def test_the_model_moves_by_the_learning_rate_of_the_mean() -> None:
    whole, half = (
        run(buffered(8, server_learning_rate=rate), devices(), work(1))[0].arrays["w"].numpy() for rate in (1.0, 0.5)
    )
    first = model()["w"].numpy()
    np.testing.assert_allclose(half, first + (whole - first) / 2, rtol=1e-5, atol=1e-6)


def test_each_has_its_turn_where_not_all_may_train_at_one_time() -> None:
    draw = random.Random(1)
    steps = run(buffered(2, concurrency=3), devices(lambda _: draw.uniform(1, 30)), work(30), seed=5)
    assert {taken.node for step in steps for taken in step.taken} == set(ALL)


def test_the_same_seed_asks_the_same_devices() -> None:
    def once(seed: int) -> list[list[int]]:
        steps = run(buffered(2, concurrency=2), devices(), work(6), seed=seed)
        return [[taken.node for taken in step.taken] for step in steps]

    assert once(1) == once(1)
    assert once(1) != once(2)


def test_start_gives_what_flowers_strategies_give() -> None:
    def on_hub(number: int, _: object) -> MetricRecord:
        return MetricRecord({"number": number})

    result = FedBuff(buffer_size=8).start(devices(), model(), num_rounds=2, timeout=5.0, evaluate_fn=on_hub)
    assert list(result.train_metrics_clientapp) == [1, 2]
    assert list(result.evaluate_metrics_clientapp) == [1, 2]
    assert list(result.evaluate_metrics_serverapp) == [0, 1, 2]
    assert result.arrays != model()
