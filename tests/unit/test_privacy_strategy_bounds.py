"""What a private strategy leaves out, refuses and counts: replies, rounds past the budget, strategies, metrics."""

from typing import Any

import numpy as np
import pytest
from flwr.app import ArrayRecord, ConfigRecord, Message, RecordDict
from flwr.serverapp.strategy import (
    Bulyan,
    DifferentialPrivacyServerSideFixedClipping,
    FedAvg,
    FedMedian,
    FedTrimmedAvg,
    FedXgbBagging,
    FedXgbCyclic,
    Krum,
    MultiKrum,
    QFedAvg,
)
from flwr.supercore.task_identity import TaskIdentity

from flip_hub.federation.aggregator.privacy.strategy import private
from flip_hub.federation.aggregator.strategies.fedbuff import FedBuff
from flip_hub.federation.privacy.schemas import (
    DeviceAdaptive,
    HubAdaptive,
    HubFixed,
    Privacy,
    Release,
)
from flip_runtime.errors import Rejected
from private_rounds import (
    ADAPTIVE,
    DEVICE,
    FAINT,
    FIXED,
    LOCAL,
    ONE,
    SIZE,
    Devices,
    answer,
    average,
    deviation,
    fails,
    model,
    sends,
    train,
    trained,
    vector,
)


@pytest.fixture(autouse=True, scope="module")
def task() -> Any:
    """Flower's messages name the run of the process that they are made in."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("_run_id", "_node_id", "_task_id"):
            patch.setattr(TaskIdentity, name, 1)
        yield


# ---- replies that are left out ----


@pytest.mark.parametrize(
    ("privacy", "reply", "why"),
    [
        (FAINT, answer({"weights": np.array([np.nan, 0], "float32")}, ONE), "NaN"),
        (FAINT, answer({"weights": np.zeros(3, "float32")}, ONE), "shape"),
        (FAINT, answer({"weights": np.zeros(2)}, ONE), "float64"),
        (FAINT, answer({"other": np.zeros(2, "float32")}, ONE), "lacks"),
        (FAINT, answer({"weights": np.array([3e30, 0], "float32")}, ONE), "3e+30, too large to be averaged"),
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
