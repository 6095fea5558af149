"""What a ServerApp reports adds up to a run and its rounds."""

from collections.abc import Sequence

from msgspec.structs import replace

from flip_hub.federation.privacy.schemas import PrivacySpent
from flip_hub.federation.progress import fold, pause, with_warning
from flip_hub.federation.schemas import (
    MessagesPushed,
    Phase,
    Released,
    ReplyReceived,
    Round,
    RoundFailure,
    RoundFinished,
    Run,
    RunReport,
    RunStatus,
    StrategyStarted,
    VersionMade,
)
from flip_wire.fleet import DeviceId
from flip_wire.models import FileRef, Manifest, Sha256

A, B = DeviceId("dev-a"), DeviceId("dev-b")
NAMES = {"1": A, "2": B}
RUN = Run(
    id="run-1",
    flower_run_id="7",
    app="tiny 1.0.0",
    fab_hash=Sha256("0" * 64),
    status=RunStatus.PENDING,
    reason="",
    config={},
    promote="best",
    metric="accuracy",
    strategy="",
    rounds=None,
    round=0,
    started_at=100.0,
    finished_at=None,
    eta=None,
    promoted_version=None,
    warning="",
)


class Story:
    """A run that is told report by report, one second apart."""

    def __init__(self, run: Run = RUN) -> None:
        self.run = run
        self.rounds: dict[int, Round] = {}
        self.clock = run.started_at

    def tell(self, *reports: RunReport) -> None:
        for report in reports:
            self.clock += 1.0
            before: Sequence[Round] = list(self.rounds.values())
            self.run, round = fold(self.run, before, report, at=self.clock, devices=NAMES)
            if round is not None:
                self.rounds[round.round] = round


def asked(round: int, phase: str = "train", nodes: Sequence[str] = ("1", "2")) -> MessagesPushed:
    return MessagesPushed(round=round, phase=phase, nodes=list(nodes))


def reply(round: int, node: str, error: str = "", phase: str = "train") -> ReplyReceived:
    return ReplyReceived(round=round, phase=phase, node=node, error=error)


def finished(round: int, **metrics: float) -> RoundFinished:
    return RoundFinished(round=round, train_metrics={"loss": 0.5}, evaluate_metrics=metrics)


def made(round: int, warning: str = "") -> VersionMade:
    weights = FileRef(name="weights.safetensors", sha256=Sha256("0" * 64), size=1)
    manifest = Manifest(model="tiny", version=0, created_at=1.0, weights=weights, round=round)
    return VersionMade(manifest=manifest, warning=warning)


def test_a_round_is_seen_from_its_first_message_to_its_metrics() -> None:
    story = Story()
    story.tell(StrategyStarted(strategy="FedAvg", rounds=3), asked(1), reply(1, "1"))
    assert (story.run.status, story.run.strategy, story.run.rounds, story.run.round) == ("running", "FedAvg", 3, 1)
    assert (story.rounds[1].sampled, story.rounds[1].answered) == ([A, B], [A])
    story.tell(reply(1, "2"), asked(1, "evaluate"), reply(1, "1", phase="evaluate"), finished(1, accuracy=0.9))
    assert story.rounds[1].answered == [A, B]
    assert story.rounds[1].finished_at == story.clock
    assert (story.rounds[1].train_metrics, story.rounds[1].evaluate_metrics) == ({"loss": 0.5}, {"accuracy": 0.9})


def test_a_failed_reply_is_kept_with_its_device_phase_and_reason() -> None:
    story = Story()
    story.tell(asked(1), reply(1, "2", "out of memory"))
    failure = RoundFailure(device_id=B, phase=Phase.TRAIN, reason="out of memory")
    assert (story.rounds[1].failures, story.rounds[1].answered) == ([failure], [])


def test_of_a_device_that_fails_again_and_again_in_a_round_the_newest_reason_is_kept() -> None:
    story = Story()
    story.tell(asked(1), *(reply(1, "2", f"try {number}") for number in range(1000)), reply(1, "2", "x" * 10_000))
    assert story.rounds[1].failures == [RoundFailure(device_id=B, phase=Phase.TRAIN, reason="x" * 500)]


def test_a_node_that_is_no_device_of_ours_is_shown_by_its_number() -> None:
    story = Story()
    story.tell(asked(1, nodes=["1", "99"]), reply(1, "99"))
    assert (story.rounds[1].sampled, story.rounds[1].answered) == ([A, "node-99"], ["node-99"])


def test_reports_that_come_twice_change_nothing() -> None:
    once, twice = Story(), Story()
    reports = [StrategyStarted(strategy="FedAvg", rounds=2), asked(1), reply(1, "1"), reply(1, "2", "failed")]
    for report in reports:
        once.tell(report)
        twice.tell(report, report)
    assert once.rounds[1].sampled == twice.rounds[1].sampled
    assert (once.rounds[1].answered, once.rounds[1].failures) == (twice.rounds[1].answered, twice.rounds[1].failures)
    end = finished(1, accuracy=0.5)
    twice.tell(end)
    at = twice.rounds[1].finished_at
    twice.tell(end)
    assert twice.rounds[1].finished_at == at


def test_a_reply_without_its_request_still_counts() -> None:
    story = Story()
    story.tell(reply(2, "1"))
    assert (story.rounds[2].sampled, story.rounds[2].answered, story.run.round) == ([A], [A], 2)


def test_messages_that_belong_to_no_round_make_none() -> None:
    story = Story()
    story.tell(asked(0, "query"), reply(0, "1", phase="query"))
    assert story.rounds == {}
    assert story.run.status is RunStatus.RUNNING


def test_the_time_left_follows_from_the_mean_round() -> None:
    story = Story()
    story.tell(StrategyStarted(strategy="FedAvg", rounds=4), asked(1), finished(1))
    assert story.run.eta == 3.0  # one second a round, three rounds left
    story.tell(asked(2), reply(2, "1"), finished(2))
    assert story.run.eta == 4.0  # four seconds for two rounds, two left


def test_the_time_left_is_unknown_while_the_number_of_rounds_is() -> None:
    story = Story()
    story.tell(asked(1), finished(1))
    assert (story.run.rounds, story.run.eta) == (None, None)


def test_what_comes_after_the_end_is_kept_but_revives_nothing() -> None:
    story = Story(replace(RUN, status=RunStatus.FAILED, reason="it failed", rounds=3))
    story.tell(asked(1), finished(1, accuracy=0.1))
    assert (story.run.status, story.run.reason, story.run.eta) == (RunStatus.FAILED, "it failed", None)
    assert story.rounds[1].evaluate_metrics == {"accuracy": 0.1}


def test_progress_takes_back_what_a_run_waited_for() -> None:
    story = Story(replace(RUN, status=RunStatus.RUNNING, reason="waiting for devices: 1 of 2 online"))
    story.tell(asked(1))
    assert story.run.reason == ""


def test_metrics_that_are_no_numbers_are_left_out() -> None:
    story = Story()
    story.tell(finished(1, accuracy=0.5, loss=float("nan"), other=float("inf")))
    assert story.rounds[1].evaluate_metrics == {"accuracy": 0.5}


def test_an_exporter_that_failed_is_a_warning_said_once() -> None:
    story = Story(replace(RUN, warning="earlier"))
    story.tell(made(1, "no export: torch missing"), made(1, "no export: torch missing"), made(2))
    assert story.run.warning == "earlier; round 1: no export: torch missing"
    assert with_warning(RUN, "") == RUN


def test_a_pause_is_measured_between_rounds_only() -> None:
    story = Story()
    assert pause(story.run, [], 130.0) == 30.0
    story.tell(asked(1))
    assert pause(story.run, list(story.rounds.values()), 500.0) == 0.0
    story.tell(finished(1))
    assert pause(story.run, list(story.rounds.values()), story.clock + 7.0) == 7.0


def test_what_a_private_run_has_spent_never_becomes_less() -> None:
    def spent(epsilon: float) -> PrivacySpent:
        return PrivacySpent(mode="hub-fixed", epsilon=epsilon, delta=1e-5, budget=8.0, planned=6.5, releases=[])

    story = Story()
    story.tell(Released(privacy=spent(4.4)), Released(privacy=spent(6.5)), Released(privacy=spent(4.4)))
    assert story.run.privacy == spent(6.5)
    assert story.rounds == {}
