"""A private round: each device counts as much as any other, is cut to the norm, and has its share of the noise."""

import math
from typing import Any

import numpy as np
import pytest
from flwr.app import ArrayRecord, ConfigRecord, Message, RecordDict
from flwr.serverapp.strategy import (
    Bulyan,
    DifferentialPrivacyServerSideFixedClipping,
    FedAdagrad,
    FedAdam,
    FedAvg,
    FedAvgM,
    FedMedian,
    FedProx,
    FedTrimmedAvg,
    FedXgbBagging,
    FedXgbCyclic,
    FedYogi,
    Krum,
    MultiKrum,
    QFedAvg,
)
from flwr.supercore.task_identity import TaskIdentity
from hypothesis import given
from hypothesis import strategies as st

from flip_hub.federation.aggregator.privacy.strategy import private
from flip_hub.federation.aggregator.strategies.fedbuff import FedBuff
from flip_hub.federation.privacy.schemas import (
    DeviceAdaptive,
    DeviceFixed,
    HubAdaptive,
    HubFixed,
    Local,
    Privacy,
    Release,
)
from flip_runtime.errors import Rejected
from private_rounds import Devices, Vector, answer, average, fails, model, sends, train, trained, vector

SIZE = 40_000
"""Entries: the deviation of so many is known to one part in 140 (two sigma)."""
BUDGET: dict[str, Any] = {"budget": 1e6, "delta": 1e-5}
FIXED = HubFixed(noise_multiplier=2.0, clipping_norm=3.0, **BUDGET)
FAINT = HubFixed(noise_multiplier=1e-9, clipping_norm=3.0, budget=1e30, delta=1e-5)
"""Without noise to speak of; hence without privacy."""
ADAPTIVE: dict[str, Any] = {"noise_multiplier": 1.0, "clipping_norm": 3.0, "clipped_count_stddev": 5.0, **BUDGET}
DEVICE = DeviceFixed(noise_multiplier=1e-9, clipping_norm=3.0, budget=1e30, delta=1e-5)
LOCAL = Local(clipping_norm=1.0, message_epsilon=1.0, message_delta=1e-6, **BUDGET)


@pytest.fixture(autouse=True, scope="module")
def task() -> Any:
    """Flower's messages name the run of the process that they are made in."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("_run_id", "_node_id", "_task_id"):
            patch.setattr(TaskIdentity, name, 1)
        yield


def along(length: float, size: int = SIZE, axis: int = 0) -> Vector:
    update = np.zeros(size)
    update[axis] = length
    return update


def deviation(values: Vector) -> float:
    return float(np.sqrt(np.mean(np.square(values, dtype=np.float64))))


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


# ---- replies that are left out ----

ONE = {"num-examples": 1}


@pytest.mark.parametrize(
    ("privacy", "reply", "why"),
    [
        (FAINT, answer({"weights": np.array([np.nan, 0], "float32")}, ONE), "NaN"),
        (FAINT, answer({"weights": np.zeros(3, "float32")}, ONE), "shape"),
        (FAINT, answer({"weights": np.zeros(2)}, ONE), "float64"),
        (FAINT, answer({"other": np.zeros(2, "float32")}, ONE), "lacks"),
        (FAINT, answer({"weights": np.array([3e30, 0], "float32")}, ONE), "3e+30 away from the model"),
        (FAINT, RecordDict(), "0 array records"),
        (DEVICE, answer({"weights": np.array([9, 0], "float32")}, ONE), "length 9, and was to be clipped to 3"),
        (DeviceAdaptive(**ADAPTIVE), answer({"weights": np.zeros(2, "float32")}, ONE), "norm_bit"),
        (DeviceAdaptive(**ADAPTIVE), answer({"weights": np.zeros(2, "float32")}, {"norm_bit": 7}), "norm_bit"),
    ],
)
def test_a_reply_that_does_not_fit_is_left_out_by_name(privacy: Privacy, reply: RecordDict, why: str) -> None:
    refused: list[tuple[int, str]] = []
    strategy = private(
        average(), privacy, refuse=lambda each, reason: refused.append((each.metadata.src_node_id, reason))
    )
    before = model(2)
    assert train(strategy, before, lambda _: reply) is None
    assert strategy.state() == []  # nothing released, nothing spent
    ((_, reason),) = refused
    assert why in reason


def test_the_round_goes_on_with_the_others_and_noise_for_so_many() -> None:
    lies = answer({"weights": np.full(SIZE, np.inf, "float32")}, ONE)
    arrays = train(private(average(), FIXED), model(SIZE), lambda _: lies, sends(np.zeros(SIZE)), sends(np.zeros(SIZE)))
    assert deviation(vector(arrays)) == pytest.approx(3.0, rel=0.02)


def test_arrays_are_told_apart_by_name() -> None:
    before = ArrayRecord({"a": model(2)["weights"], "b": model(2, 1000.0)["weights"]})
    swapped = answer({"b": np.full(2, 1000, "float32"), "a": np.array([1, 0], "float32")}, ONE)
    after = train(private(average(), FAINT), before, lambda _: swapped)
    assert vector(after, "a") == pytest.approx([1.0, 0.0], abs=1e-6)
    assert vector(after, "b") == pytest.approx([1000.0, 1000.0], abs=1e-3)


@pytest.mark.parametrize("dtype", ["int64", "float16", "uint8"])
def test_an_array_that_no_noise_can_hide_is_named(dtype: str) -> None:
    with pytest.raises(Rejected, match=f"weights is {dtype}.*plan.local"):
        train(private(average(), FIXED), model(2, dtype=dtype), sends(np.zeros(2)))


def test_parts_that_stay_on_devices_are_neither_counted_nor_drowned() -> None:
    before = ArrayRecord({"steps": model(1, 7, "int64")["weights"], "a": model(SIZE)["weights"]})

    def device(message: Message) -> RecordDict:
        return answer({"a": np.zeros(SIZE, "float32"), "steps": np.array([9])}, ONE)

    after = train(private(average(), FIXED, local=["steps"]), before, device)
    assert list(after or ()) == ["steps", "a"]  # FedAvgM and its like go by the order
    assert vector(after, "steps") == [7]
    assert deviation(vector(after, "a")) == pytest.approx(6.0, rel=0.02)
    kept = train(private(average(), LOCAL, local=["steps"]), before, device)
    assert vector(kept, "steps") == [9]  # what came is the strategy's, noise and all


# ---- the account ----


def test_a_round_whose_cost_is_past_the_budget_is_not_begun() -> None:
    privacy = HubFixed(noise_multiplier=1.0, clipping_norm=1.0, budget=7.0, delta=1e-5)
    strategy, arrays = private(average(), privacy), model(2)
    strategy.need_budget(2)
    with pytest.raises(Rejected, match=r"plan\.privacy\.budget: 3 rounds cost epsilon .*2 rounds would fit"):
        strategy.need_budget(3)
    for number in (1, 2):
        train(strategy, arrays, sends(np.zeros(2)), number=number)
    spent = strategy.spent(0)
    assert spent.epsilon == pytest.approx(6.573, abs=1e-3)
    assert spent.planned == spent.epsilon
    with pytest.raises(Rejected, match=r"1 round costs epsilon .*is spent already"):
        train(strategy, arrays, sends(np.zeros(2)), number=3)
    assert strategy.spent(0) == spent


def test_a_round_without_results_costs_nothing() -> None:
    strategy = private(average(), FIXED)
    assert train(strategy, model(2), fails, fails) is None
    assert strategy.spent(5).epsilon == 0.0


def test_what_was_released_before_counts() -> None:
    earlier = [Release(noise_multiplier=0.5, times=3), Release(noise_multiplier=2.0, times=4)]
    strategy = private(average(), FIXED, earlier)
    train(strategy, model(2), sends(np.zeros(2)))
    assert strategy.state() == [Release(noise_multiplier=0.5, times=3), Release(noise_multiplier=2.0, times=5)]


def test_of_a_checkpoint_and_what_the_hub_knows_the_larger_counts() -> None:
    strategy = private(average(), FIXED, [Release(noise_multiplier=2.0, times=4)])
    strategy.restored([Release(noise_multiplier=2.0, times=2)])  # an older checkpoint
    assert strategy.state() == [Release(noise_multiplier=2.0, times=4)]
    strategy.restored([Release(noise_multiplier=2.0, times=9)])  # reports were lost
    assert strategy.state() == [Release(noise_multiplier=2.0, times=9)]


def test_a_checkpoint_holds_releases_and_norm_and_nothing_of_the_plan() -> None:
    """It may be continued with another plan, whose noise it must not change."""
    strategy = private(average(), HubAdaptive(**ADAPTIVE))
    train(strategy, model(2), sends(np.zeros(2)))
    assert set(vars(strategy)) == {"strategy", "released", "norm"}
    assert strategy.released == {1.0: 1}
    assert strategy.norm != 3.0


# ---- strategies ----


@pytest.mark.parametrize(
    "strategy",
    [
        average(FedMedian),
        average(FedTrimmedAvg),
        average(Bulyan, num_malicious_nodes=1),
        average(Krum, num_malicious_nodes=1),
        average(MultiKrum, num_malicious_nodes=1, num_nodes_to_select=1),
        average(QFedAvg, client_learning_rate=0.1),
        average(FedXgbBagging),
        FedXgbCyclic(),
    ],
    ids=lambda each: type(each).__name__,
)
def test_a_strategy_that_needs_more_than_the_mean_is_refused(strategy: FedAvg) -> None:
    with pytest.raises(Rejected, match=rf"plan\.strategy: {type(strategy).__name__} needs more.*mode local"):
        private(strategy, FIXED)
    private(strategy, LOCAL)


def test_privacy_is_not_put_around_privacy() -> None:
    own = DifferentialPrivacyServerSideFixedClipping(average(), 1.0, 1.0, 2)
    for privacy in (FIXED, LOCAL):
        with pytest.raises(Rejected, match="a wrapper for differential privacy itself"):
            private(own, privacy)


def test_a_strategy_without_rounds_is_refused_in_every_mode() -> None:
    for privacy in (FIXED, LOCAL):
        with pytest.raises(Rejected, match="FedBuff has no rounds"):
            private(FedBuff(), privacy)


# ---- metrics ----


def test_metrics_of_devices_are_not_even_asked_for() -> None:
    strategy = private(average(), FAINT)
    _, metrics = trained(strategy, model(2), sends(np.zeros(2), loss=3.0))
    assert metrics is None
    assert list(strategy.configure_evaluate(1, model(2), ConfigRecord(), Devices([fails]))) == []
    assert strategy.aggregate_evaluate(1, []) is None


def test_metrics_that_may_be_shown_are_a_mean_of_equals_without_the_bit() -> None:
    strategy = private(average(), DeviceAdaptive(**ADAPTIVE, metrics="shown"))
    devices = [sends(np.zeros(2), 1, loss=1.0, norm_bit=0), sends(np.zeros(2), 999, loss=3.0, norm_bit=0)]
    _, metrics = trained(strategy, model(2), *devices)
    assert metrics is not None
    assert dict(metrics) == {"loss": 2.0}
    assert len(list(strategy.configure_evaluate(1, model(2), ConfigRecord(), Devices([fails])))) == 1


# ---- local ----


def test_locally_a_message_is_spent_when_it_is_asked_for() -> None:
    strategy, grid = private(average(FedMedian), LOCAL), Devices([sends(np.zeros(2)), fails])
    messages = list(strategy.configure_train(1, model(2), ConfigRecord(), grid))
    assert strategy.state() == [Release(noise_multiplier=LOCAL.released_with, times=1)]
    strategy.aggregate_train(1, grid.send_and_receive(messages))
    assert strategy.state() == [Release(noise_multiplier=LOCAL.released_with, times=1)]


def test_locally_the_hub_adds_no_noise_and_weighs_all_alike() -> None:
    arrays = train(private(average(), LOCAL), model(2), sends(np.array([4.0, 0]), 1), sends(np.zeros(2), 999))
    assert vector(arrays) == pytest.approx([2.0, 0.0])
