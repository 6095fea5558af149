"""A private round: each device counts as much as any other, is cut to the norm, and has its share of the noise."""

import math
from typing import Any

import numpy as np
import pytest
from flwr.app import ArrayRecord, ConfigRecord, Message, RecordDict
from flwr.serverapp.strategy import (
    FedAdagrad,
    FedAdam,
    FedAvg,
    FedAvgM,
    FedProx,
    FedYogi,
)
from flwr.supercore.task_identity import TaskIdentity
from hypothesis import given
from hypothesis import strategies as st

from flip_hub.federation.aggregator.privacy import wrappers
from flip_hub.federation.aggregator.privacy.strategy import private
from flip_hub.federation.privacy.schemas import (
    DeviceAdaptive,
    HubAdaptive,
    Privacy,
)
from private_rounds import (
    ADAPTIVE,
    FAINT,
    FIXED,
    ONE,
    SIZE,
    Devices,
    Vector,
    along,
    answer,
    average,
    deviation,
    fails,
    model,
    sends,
    train,
    vector,
)


@pytest.fixture(autouse=True, scope="module")
def task() -> Any:
    """Flower's messages name the run of the process that they are made in."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("_run_id", "_node_id", "_task_id"):
            patch.setattr(TaskIdentity, name, 1)
        yield


# ---- noise ----


@pytest.mark.parametrize(("answering", "failing"), [(1, 0), (1, 9), (4, 6), (10, 0)])
def test_noise_is_that_of_a_mean_of_those_who_answered(answering: int, failing: int) -> None:
    devices = [sends(along(1.0))] * answering + [fails] * failing
    arrays = vector(train(private(average(), FIXED), model(SIZE), *devices))
    assert deviation(arrays[1:]) == pytest.approx(2.0 * 3.0 / answering, rel=0.02)


def test_noise_is_the_same_in_every_array_and_type() -> None:
    strategy = private(average(), FIXED)
    before = ArrayRecord({"a": model(SIZE)["weights"], "b": model(SIZE, 5.0, "float64")["weights"]})

    def device(message: Message) -> RecordDict:
        return answer({name: array.numpy() for name, array in message.content.array_records["arrays"].items()}, ONE)

    after = train(strategy, before, device, device)
    assert deviation(vector(after, "a")) == pytest.approx(3.0, rel=0.02)
    assert deviation(vector(after, "b") - 5.0) == pytest.approx(3.0, rel=0.02)
    assert (vector(after, "a").dtype, vector(after, "b").dtype) == (np.float32, np.float64)


def test_two_rounds_of_one_seed_differ() -> None:
    np.random.seed(1)
    first = vector(train(private(average(), FIXED), model(3), sends(np.zeros(3))))
    np.random.seed(1)
    assert (vector(train(private(average(), FIXED), model(3), sends(np.zeros(3)))) != first).all()


# ---- what one device can change ----


def test_a_device_counts_as_much_as_one_with_more_samples() -> None:
    arrays = train(private(average(), FAINT), model(2), sends(np.array([2.0, 0]), 1e8), sends(np.array([0, 1.0]), 1))
    assert vector(arrays) == pytest.approx([1.0, 0.5], abs=1e-6)


@given(st.floats(0, 8e17), st.floats(0, 1e6), st.integers(1, 5), st.sampled_from(["float32", "float64"]))
def test_no_update_moves_the_mean_by_more_than_its_share_of_the_norm(
    length: float, origin: float, others: int, dtype: str
) -> None:
    strategy, before = private(average(), FAINT), model(3, origin, dtype)
    update = np.array([length, -length / 2, 0])
    after = vector(train(strategy, before, sends(update), *[sends(np.zeros(3))] * others))
    moved = np.linalg.norm(after.astype(np.float64) - origin)
    rounding = 4 * float(np.finfo(np.dtype(dtype)).eps) * origin * (others + 1)
    assert moved <= 3.0 / (others + 1) * 1.00001 + rounding


def test_the_mean_is_rounded_to_its_type_after_the_noise_and_not_before(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rounded before, one device can move it by more than its share of the norm."""
    hidden: list[Vector] = []
    monkeypatch.setattr(wrappers, "with_noise", lambda mean, _: hidden.append(mean) or mean)
    strategy, before = private(average(), FAINT), model(2, 1000.0, "float32")
    updates = [sends(np.array([0.125 * number, 1.0])) for number in (0, 1, 1, 2, 3, 3, 4)]
    after = vector(train(strategy, before, *updates))
    assert after.dtype == np.float32
    assert hidden[0] == pytest.approx([1000.25, 1001.0], abs=1e-12)
    assert hidden[0].dtype == np.float64


def test_a_short_update_stays_as_it_is_and_a_long_one_keeps_its_direction() -> None:
    short = vector(train(private(average(), FAINT), model(2), sends(np.array([1.0, 2.0]))))
    assert short == pytest.approx([1.0, 2.0], abs=1e-6)
    long = vector(train(private(average(), FAINT), model(2), sends(np.array([30.0, 40.0]))))
    assert long == pytest.approx([1.8, 2.4], abs=1e-6)


def test_a_device_that_changes_nothing_counts_in_the_mean() -> None:
    arrays = train(private(average(), FAINT), model(2, 1.0), sends(np.zeros(2)), sends(np.array([2.0, 0])))
    assert vector(arrays) == pytest.approx([2.0, 1.0], abs=1e-6)


def test_a_server_optimiser_sees_the_noisy_mean_alone() -> None:
    momentum = average(FedAvgM, server_learning_rate=1.0, server_momentum=0.5)
    arrays, strategy = model(SIZE), private(momentum, FIXED)
    first = train(strategy, arrays, sends(np.zeros(SIZE)), sends(np.zeros(SIZE)))
    assert isinstance(momentum, FedAvgM)
    assert momentum.momentum_vector is not None
    assert deviation(momentum.momentum_vector[0]) == pytest.approx(3.0, rel=0.02)
    assert deviation(vector(first)) == pytest.approx(3.0, rel=0.02)


@pytest.mark.parametrize("cls", [FedAvg, FedAvgM, FedProx])
def test_without_noise_a_strategy_gives_what_it_gives_without_privacy(cls: type[FedAvg]) -> None:
    extra = {"proximal_mu": 0.1} if cls is FedProx else {}
    updates = [sends(np.array([1.0, 0])), sends(np.array([0, 2.0]))]
    grid, plain = Devices(updates), average(cls, **extra)
    replies = grid.send_and_receive(plain.configure_train(1, model(2, 1.0), ConfigRecord(), grid))
    expected, _ = plain.aggregate_train(1, replies)
    got = train(private(average(cls, **extra), FAINT), model(2, 1.0), *updates)
    assert vector(got) == pytest.approx(vector(expected), abs=1e-6)


@pytest.mark.parametrize("cls", [FedAdam, FedAdagrad, FedYogi])
def test_the_adaptive_optimisers_work_on_it_too(cls: type[FedAvg]) -> None:
    arrays = train(private(average(cls), FIXED), model(4), sends(np.ones(4)), sends(np.ones(4)))
    assert np.isfinite(vector(arrays)).all()


# ---- norms that adapt ----


def norms(privacy: Privacy, lengths: list[float], rounds: int, size: int = 20) -> list[float]:
    strategy, arrays, found = private(average(), privacy), model(size), list[float]()
    for number in range(1, rounds + 1):
        after = train(strategy, arrays, *[sends(along(length, size)) for length in lengths], number=number)
        assert after is not None
        assert strategy.norm is not None
        found.append(strategy.norm)
    return found


@pytest.mark.parametrize("start", [0.05, 100.0])
def test_the_norm_goes_to_the_quantile_of_the_lengths(start: float) -> None:
    ask: dict[str, Any] = {**ADAPTIVE, "noise_multiplier": 0.01, "clipping_norm": start, "clipped_count_stddev": 0.1}
    ask |= {"clipping_rate": 0.5}
    lengths = [1.0 * each for each in range(1, 11)]
    half = norms(HubAdaptive(**ask), lengths, 50)
    assert np.mean(half[-10:]) == pytest.approx(5.5, abs=0.7)
    few = norms(HubAdaptive(**ask, clipped_share=0.2), lengths, 50)
    assert np.mean(few[-10:]) == pytest.approx(8.5, abs=0.7)


def test_noise_belongs_to_the_norm_that_clipped() -> None:
    """Not to the next one, which is smaller when no update was clipped."""
    ask: dict[str, Any] = {**ADAPTIVE, "clipping_rate": 2.0, "clipped_count_stddev": 1.0, "noise_multiplier": 1.0}
    strategy = private(average(), HubAdaptive(**ask))
    after = vector(train(strategy, model(SIZE), *[sends(np.zeros(SIZE))] * 100))
    assert strategy.norm is not None
    assert strategy.norm < 3.0 * 0.5
    of_the_mean = (1.0**-2 - (2 * 1.0) ** -2) ** -0.5
    assert deviation(after) == pytest.approx(of_the_mean * 3.0 / 100, rel=0.02)


def test_the_count_of_clipped_updates_is_noisy() -> None:
    ask: dict[str, Any] = {**ADAPTIVE, "clipping_rate": 1.0, "clipped_count_stddev": 0.6}
    privacy, lengths = HubAdaptive(**ask), [1.0] * 5 + [9.0] * 5
    shares = [math.log(norms(privacy, lengths, 1)[0] / 3.0) + 0.5 for _ in range(200)]
    assert np.mean(shares) == pytest.approx(0.5, abs=0.025)
    assert np.std(shares) == pytest.approx(0.06, rel=0.25)


def test_a_device_says_itself_that_it_was_clipped() -> None:
    ask: dict[str, Any] = {**ADAPTIVE, "noise_multiplier": 0.01, "clipped_count_stddev": 0.01}
    strategy = private(average(), DeviceAdaptive(**ask))
    devices = [sends(along(3.0, 5), norm_bit=1)] * 3 + [sends(along(1.0, 5), norm_bit=0)]
    train(strategy, model(5), *devices)
    assert strategy.norm == pytest.approx(3.0 * math.exp(0.2 * (0.75 - 0.5)), rel=0.01)


def test_the_device_is_told_the_norm() -> None:
    told: list[Any] = []

    def device(message: Message) -> RecordDict:
        told.append(message.content.config_records["config"]["clipping_norm"])
        return sends(along(1.0, 5), norm_bit=0)(message) or RecordDict()

    strategy = private(average(), DeviceAdaptive(**ADAPTIVE))
    for number in (1, 2):
        train(strategy, model(5), device, number=number)
        told.append(strategy.norm)
    assert told[0] == 3.0
    assert told[1] == told[2]
