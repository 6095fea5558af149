"""Rounds of which the hub learns the sum alone: devices lost in each stage, a hub that dies, and what is refused."""

import errno
from collections.abc import Iterable, Sequence
from pathlib import Path

import msgspec
import numpy as np
import pytest
from flwr.app import Array, ArrayRecord, Message, RecordDict
from flwr.serverapp.strategy import FedAdam, FedAvg, FedMedian, Krum, Strategy
from flwr.supercore.task_identity import TaskIdentity
from msgspec.structs import replace
from numpy.typing import NDArray
from secure_rounds import FIRST, MODEL, SECURE_PLAN, Fleet, SecureRun, mean_of, model, need_mean_of
from test_federation_rounds import Killed
from test_runs_progress import Story

from flip_agent.federation.flower import context
from flip_agent.federation.mods.secure_update import STATE
from flip_hub.federation.aggregator.secure.vectors import Vectors
from flip_hub.federation.aggregator.strategies.fedbuff import FedBuff
from flip_hub.federation.plan import Plan, RoundRules
from flip_hub.federation.privacy.schemas import Local
from flip_hub.federation.schemas import Released, RepliesMissed, Round, RunReport
from flip_runtime.errors import Corrupt, Rejected
from flip_update.secagg.device_round import DeviceRound
from flip_wire.fleet import DeviceId
from flip_wire.terms import ANSWER, SECURE

ALL = list(range(FIRST, FIRST + 8))
STAGES = ["Setup", "Neighbourhood", "Delivery", "Unmasking"]


@pytest.fixture(autouse=True)
def task(monkeypatch: pytest.MonkeyPatch) -> None:
    """Flower's messages name the run of the process that they are made in."""
    for name in ("_run_id", "_node_id", "_task_id"):
        monkeypatch.setattr(TaskIdentity, name, 1)


def test_a_round_gives_the_mean_and_no_device_sends_anything_else(folder: Path) -> None:
    run, fleet = SecureRun(folder), Fleet()
    result = run.start(fleet, rounds=2)
    need_mean_of(result, ALL, rounds=2)
    assert sorted(fleet.seen) == [(number, "train", node) for number in (1, 2) for node in ALL], "nobody evaluates"
    assert {name for reply in fleet.replies for name in reply.content} == {SECURE}
    assert {key for reply in fleet.replies for key in reply.content[SECURE]} == {ANSWER}
    assert len(fleet.sent) == 8 * (4 + 2), "the second round goes on with the keys of the first"
    assert [each.train_metrics for each in run.ends()] == [{"devices": 8, "clipped-devices": 0}] * 2


def test_a_run_that_has_had_its_rounds_leaves_no_secret_on_any_device(folder: Path) -> None:
    fleet = Fleet()
    SecureRun(folder).start(fleet, rounds=2)
    for state in fleet.states.values():
        around = context(run_id="1", node_id="1", node_config={}, run_config={}, state=state)
        kept = around.state.config_records[STATE]["state"]
        assert isinstance(kept, bytes)
        before = msgspec.msgpack.decode(kept, type=DeviceRound)
        assert before == before.without_secrets()


class Leaving(Fleet):
    """One device goes after the first round."""

    def get_node_ids(self) -> Iterable[int]:
        return self.nodes if len(self.sent) < 8 * 4 else self.nodes[1:]


def test_when_a_device_has_gone_the_others_agree_on_new_keys_and_go_on_with_them(folder: Path) -> None:
    run, fleet = SecureRun(folder), Leaving()
    run.start(fleet, rounds=3)
    assert len(fleet.sent) == 8 * 4 + 7 * 4 + 7 * 2
    assert [(each.void, each.train_metrics["devices"]) for each in run.ends()] == [("", 8), ("", 7), ("", 7)]


@pytest.mark.parametrize("stage", STAGES)
def test_devices_that_are_lost_in_any_stage_are_left_out_and_the_round_goes_on(folder: Path, stage: str) -> None:
    lost = (ALL[1], ALL[5])
    run, fleet = SecureRun(folder), Fleet(loses=[(1, stage, node) for node in lost])
    result = run.start(fleet, rounds=2)
    counted = ALL if stage == "Unmasking" else [node for node in ALL if node not in lost]
    middle = mean_of(counted)
    expected = mean_of(ALL, {name: array.astype(MODEL[name].dtype) for name, array in middle.items()})
    for name, array in expected.items():
        assert np.abs(result.arrays[name].numpy() - array).max() < 2e-6
    assert [each.void for each in run.ends()] == ["", ""]
    assert any("its round had ended after" in each.reason for each in missed(run.heard.reports))


@pytest.mark.parametrize("stage", STAGES)
def test_a_round_that_too_few_end_is_void_and_the_next_one_counts(folder: Path, stage: str) -> None:
    run, fleet = SecureRun(folder), Fleet(loses=[(1, stage, node) for node in ALL[2:]])
    result = run.start(fleet, rounds=2)
    need_mean_of(result, ALL)
    assert run.ends()[0].void.startswith(f"the round is void: stage {_NAMES[stage]}: 2 of 8 devices have answered")
    assert run.ends()[1].void == ""


_NAMES = dict(zip(STAGES, ["advertise", "share", "mask", "reveal"], strict=True))


@pytest.mark.parametrize("exchange", range(1, 7))
def test_killed_before_any_exchange_the_round_is_begun_anew_with_new_secrets(folder: Path, exchange: int) -> None:
    run, fleet = SecureRun(folder), Fleet(dies_at=exchange)
    if exchange < 6:
        with pytest.raises(Killed):
            run.start(fleet, rounds=2)
        fleet.left = -1
    result = run.start(fleet, rounds=2)
    need_mean_of(result, ALL, rounds=2)
    vectors = [reply.content[SECURE][ANSWER] for reply in fleet.replies]
    assert len({str(vector) for vector in vectors}) == len(vectors), "no answer was given twice"


def test_a_clock_that_is_set_back_makes_no_attempt_lower(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run, fleet = SecureRun(folder), Fleet(dies_at=2)
    with pytest.raises(Killed):
        run.start(fleet)
    monkeypatch.setattr("time.time", lambda: 1000.0)
    fleet.left = -1
    need_mean_of(run.start(fleet), ALL)


def test_who_cannot_mask_is_left_out_with_the_reason(folder: Path) -> None:
    run, fleet = SecureRun(folder), Fleet()
    fleet.weigh = {ALL[0]: 101, ALL[3]: 2.5}
    need_mean_of(run.start(fleet), [node for node in ALL if node not in (ALL[0], ALL[3])])
    round = round_of(run.heard.reports)
    reasons = {failure.device_id: failure.reason for failure in round.failures}
    assert "a weight that is not between 1 and 100 (max_weight)" in reasons[DeviceId(f"node-{ALL[0]}")]
    assert "num-examples is no whole number, and secure aggregation" in reasons[DeviceId(f"node-{ALL[3]}")]
    assert len(round.failures) == 2


def test_a_device_counts_once_as_asked_and_once_as_answered(folder: Path) -> None:
    run = SecureRun(folder)
    run.start(Fleet(loses=[(1, "Delivery", ALL[0]), (1, "Setup", ALL[1])]))
    round = round_of(run.heard.reports)
    assert sorted(round.sampled) == [f"node-{node}" for node in ALL]
    assert sorted(round.answered) == [f"node-{node}" for node in ALL[2:]]


def test_values_that_changed_too_much_are_cut_and_counted(folder: Path) -> None:
    tight = Plan(secure=replace(SECURE_PLAN, clip=1e-2))
    run = SecureRun(folder, tight)
    run.start(Fleet())
    assert run.ends()[0].train_metrics["clipped-devices"] > 0


def test_the_plans_quorum_and_deadline_count_for_a_secure_round(folder: Path) -> None:
    run = SecureRun(folder, Plan(secure=SECURE_PLAN, rounds=RoundRules(quorum=1.0, deadline=0.2)))
    run.start(Fleet(loses=[(1, "Delivery", ALL[0])]), timeout=3600.0)
    assert run.ends()[0].void.endswith("7 results of 8 devices asked, its quorum is 8")
    assert any("quorum is 8" in each.reason for each in missed(run.heard.reports))


def test_a_full_disk_makes_a_round_void(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Vectors, "keep", full)
    run = SecureRun(folder)
    run.start(Fleet())
    assert run.ends()[0].void == "the round is void: [Errno 28] No space left on device"


def test_nodes_that_are_no_agents_are_not_asked(folder: Path) -> None:
    run, fleet = SecureRun(folder, agents=ALL[-1]), Fleet()
    need_mean_of(run.start(fleet), ALL[:-1])


def test_noise_of_the_devices_own_hides_the_sum_as_well(folder: Path) -> None:
    local = Local(clipping_norm=1.0, message_epsilon=1e6, message_delta=1e-6, budget=1e15, delta=1e-5)
    run = SecureRun(folder, Plan(secure=SECURE_PLAN, privacy=local))
    result = run.start(Fleet())
    expected = {name: np.mean([_at(node, name) for node in ALL], axis=0) for name in MODEL}
    for name, array in expected.items():
        assert np.abs(result.arrays[name].numpy() - array).max() < 1e-3


def test_that_noise_is_in_what_is_masked_and_not_beside_it(folder: Path) -> None:
    local = Local(clipping_norm=1.0, message_epsilon=50.0, message_delta=1e-6, budget=1e15, delta=1e-5)
    run = SecureRun(folder, Plan(secure=replace(SECURE_PLAN, clip=100 * local.stddev), privacy=local))
    result = run.start(Fleet())
    off = [result.arrays[name].numpy() - np.mean([_at(node, name) for node in ALL], axis=0) for name in MODEL]
    spread = np.std(np.concatenate([each.ravel() for each in off])) / (local.stddev / len(ALL) ** 0.5)
    assert 0.2 < spread < 2.5, "13 values: the chance to be outside is below 1e-6"


def test_noise_that_is_drawn_again_because_its_round_is_begun_anew_is_paid_for_again(folder: Path) -> None:
    """Whoever kept the sum of the first attempt has two noisy ones of the same devices."""
    local = Local(clipping_norm=1.0, message_epsilon=1.0, message_delta=1e-6, budget=1e15, delta=1e-5)
    run, fleet = SecureRun(folder, Plan(secure=SECURE_PLAN, privacy=local)), Fleet(dies_at=3)
    with pytest.raises(Killed):  # masked, and not opened
        run.start(fleet)
    fleet.left = -1
    run.start(fleet, rounds=2)
    told = [report.privacy for report in run.heard.reports if isinstance(report, Released)]
    assert [sum(release.times for release in each.releases) for each in told] == [0, 1, 2, 3]
    assert len(fleet.seen) == 3 * len(ALL)


def test_an_account_that_cannot_be_read_starts_nothing(folder: Path) -> None:
    local = Local(clipping_norm=1.0, message_epsilon=1.0, message_delta=1e-6, budget=1e15, delta=1e-5)
    run, fleet = SecureRun(folder, Plan(secure=SECURE_PLAN, privacy=local)), Fleet()
    (folder / "run-1").mkdir()
    (folder / "run-1" / "private-releases").write_bytes(b"{")
    with pytest.raises(Corrupt, match="says no more what the run has spent"):
        run.start(fleet)
    assert fleet.sent == {}


def test_an_adaptive_optimiser_of_the_hub_gets_the_mean(folder: Path) -> None:
    result = SecureRun(folder).start(Fleet(), rounds=2, strategy=FedAdam())
    assert all(np.isfinite(array.numpy()).all() for array in result.arrays.values())


@pytest.mark.parametrize("strategy", [FedMedian(), Krum(), FedBuff()], ids=lambda each: type(each).__name__)
def test_a_strategy_that_needs_single_updates_is_refused_by_name(folder: Path, strategy: Strategy) -> None:
    fleet = Fleet()
    with pytest.raises(Rejected, match=f"plan.strategy: {type(strategy).__name__} needs single updates"):
        SecureRun(folder).start(fleet, strategy=strategy)
    assert fleet.sent == {}


def test_more_devices_than_the_sum_has_room_for_end_the_run(folder: Path) -> None:
    with pytest.raises(Rejected, match=r"plan\.secure\.most: the strategy asks 9 devices, .* room for 8"):
        SecureRun(folder).start(Fleet(9))


def test_arrays_of_whole_numbers_are_refused_by_name(folder: Path) -> None:
    run = SecureRun(folder)
    odd = ArrayRecord({**dict(model()), "norm.steps": Array(np.array([4], np.int64))})
    with run.process(Fleet()) as grid, pytest.raises(Rejected, match=r"plan\.secure: norm\.steps is int64"):
        FedAvg().start(grid, odd, num_rounds=1)


def test_an_app_that_asks_devices_by_itself_is_refused(folder: Path) -> None:
    fleet = Fleet()
    with SecureRun(folder).process(fleet) as grid, pytest.raises(Rejected, match=r"plan\.secure: the app asks devices"):
        grid.push_messages([Message(RecordDict({"arrays": model()}), dst_node_id=FIRST, message_type="train")])
    assert fleet.sent == {}


def _at(node: int, name: str) -> NDArray[np.float64]:
    return mean_of([node])[name]


def missed(reports: Sequence[RunReport]) -> list[RepliesMissed]:
    return [report for report in reports if isinstance(report, RepliesMissed)]


def round_of(reports: Sequence[RunReport]) -> Round:
    """As the hub shows it."""
    story = Story()
    story.tell(*reports)
    return story.rounds[1]
