"""A lab finds what was lost, and what was done twice, by comparing what devices made with what the hub says of it."""

from pathlib import Path

from flip_hub.contributions.schemas import Contribution
from flip_hub.federation.lab_request import LabRequest
from flip_hub.federation.plan import Plan
from flip_hub.federation.schemas import (
    MessagesPushed,
    RepliesMissed,
    RepliesTaken,
    ReplyReceived,
    ReplyRefused,
    RoundFinished,
    Run,
    RunStatus,
)
from flip_lab.accounts import Accounts, LastWord
from flip_lab.device import VirtualDevice
from flip_lab.faults import Faults, Lies, Trace
from flip_lab.fortune import Fortune
from flip_lab.report import LabReport, in_words
from flip_lab.story import Story
from flip_lab.timeline import Timeline
from flip_lab.workers import Workers
from flip_wire.contributions import Fate
from flip_wire.fleet import DeviceId
from flip_wire.models import Sha256

REQUEST = LabRequest(
    app=Path("app"),
    devices=2,
    faults=None,
    seed=1,
    config={},
    plan=Plan(),
    metric="accuracy",
    report=None,
    workers=1,
    folder=None,
)


def device(folder: Path, number: int, finished: str) -> VirtualDevice:
    """One that has results for these instructions, a letter each. The second one lies."""
    faults = Faults(traces=[Trace(device=2, lies=Lies(kind="nan"))])
    made = VirtualDevice(number, Fortune(faults, 1, number), folder, Timeline(), Workers(1, 1.0, folder), {})
    made.node = str(number)
    made.diary.finished |= set(finished)
    return made


def contribution(message: str, fate: Fate, *, kept_late: bool = False) -> Contribution:
    return Contribution(
        flower_run_id="1",
        message_id=message,
        device_id=DeviceId("dev-1"),
        round=1,
        phase="train",
        sent_at=0.0,
        received_at=None,
        fate=fate,
        reason="",
        counts=fate is Fate.ACCEPTED,
        kept_late=kept_late,
        sha256="",
        size=0,
        weight=None,
        share=None,
        taken=0,
        signed=True,
        entry=0,
    )


def reported(folder: Path, first: VirtualDevice, *contributions: Contribution, story: Story | None = None) -> LabReport:
    run = Run(
        id="run-1",
        flower_run_id="1",
        app="app 1.0.0",
        fab_hash=Sha256("0" * 64),
        status=RunStatus.FINISHED,
        reason="",
        config={},
        promote="none",
        metric="accuracy",
        strategy="FedAvg",
        rounds=1,
        round=1,
        started_at=0.0,
        finished_at=1.0,
        eta=None,
        promoted_version=None,
        warning="",
    )
    last = LastWord(run=run, contributions=list(contributions), model="")
    devices = [first, device(folder, 2, "")]
    return Accounts(REQUEST, story or Story(lambda node: f"lab-000{node}"), devices).report(last, 60.0)


def test_each_result_is_somewhere_or_lost(tmp_path: Path) -> None:
    found = reported(
        tmp_path,
        device(tmp_path, 1, "abcdef"),
        contribution("a", Fate.ACCEPTED),
        contribution("b", Fate.LATE, kept_late=True),
        contribution("c", Fate.REFUSED),
        contribution("d", Fate.LATE),
        contribution("e", Fate.PENDING),
    )
    assert (found.finished, found.accepted, found.late, found.refused, found.unwanted) == (6, 1, 1, 1, 1)
    assert found.lost == ["lab-0001 e", "lab-0001 f"], "one is nowhere settled, of one the hub knows nothing"
    assert "lost     2; done twice: nothing" in in_words(found, "accuracy")


def test_a_result_that_was_trained_again_or_counted_again_is_named(tmp_path: Path) -> None:
    first, story = device(tmp_path, 1, "ab"), Story(lambda node: f"lab-000{node}")
    first.diary.again.add("a")
    story.hear(MessagesPushed(round=1, phase="train", nodes=["1", "1"], messages=["a", "b"]), 0.0)
    story.hear(RepliesTaken(messages=["b"]), 1.0)
    story.hear(RepliesTaken(messages=["b"]), 2.0)
    assert reported(tmp_path, first, story=story).twice == ["a", "b"]


def test_a_round_says_who_counted_who_was_late_and_who_was_refused(tmp_path: Path) -> None:
    story = Story(lambda node: f"lab-000{node}")
    story.hear(MessagesPushed(round=1, phase="train", nodes=["1", "2", "3", "4"], messages=[*"abcd"]), 0.0)
    story.hear(ReplyReceived(round=1, phase="train", node="4", error="ValueError: no", message="d"), 5.0)
    story.hear(ReplyRefused(round=1, phase="train", node="2", message="b", reason="not finite"), 6.0)
    story.hear(RepliesMissed(messages=["c"], reason="its round had ended"), 7.0)
    story.hear(RepliesTaken(messages=["a", "d"]), 8.0)
    story.hear(MessagesPushed(round=1, phase="evaluate", nodes=["1"], messages=["x"]), 8.0)
    story.hear(RepliesTaken(messages=["x"]), 9.0)
    story.hear(RoundFinished(round=1, train_metrics={}, evaluate_metrics={"accuracy": 0.5}), 9.0)
    story.hear(MessagesPushed(round=2, phase="train", nodes=["1"], messages=["e"]), 9.0)
    story.hear(RepliesTaken(messages=["c"]), 20.0)
    first, second = story.rounds[1], story.rounds[2]
    assert (first.asked, first.counted, first.missed, first.refused, first.failed, first.ended) == (4, 2, 1, 1, 1, 9.0)
    assert (second.asked, second.counted, second.folded) == (1, 0, 1)
    found = reported(tmp_path, device(tmp_path, 1, ""), story=story)
    (liar,) = found.liars
    assert (liar.device, liar.told, liar.counted, liar.refused) == ("lab-0002", "nan", 0, 1)
    assert any("0.5000" in line for line in in_words(found, "accuracy"))


def test_a_device_that_does_not_lie_is_named_with_the_reason_why_it_was_refused(tmp_path: Path) -> None:
    story = Story(lambda node: f"lab-000{node}")
    nodes = ["1", "2", "3"]
    story.hear(MessagesPushed(round=1, phase="train", nodes=nodes, messages=[*"abc"]), 0.0)
    story.hear(ReplyReceived(round=1, phase="train", node="3", error="ValueError: no", message="c"), 5.0)
    for node, message in ("1", "a"), ("2", "b"):
        story.hear(ReplyRefused(round=1, phase="train", node=node, message=message, reason="too old"), 6.0)
    words = in_words(reported(tmp_path, device(tmp_path, 1, ""), story=story), "accuracy")
    assert words[-2:] == ["refused  lab-0001 in round 1: too old", "failed   lab-0003 in round 1: ValueError: no"]
    for number in range(2, 14):
        story.hear(ReplyRefused(round=number, phase="train", node="1", message="", reason="too old"), 6.0)
    words = in_words(reported(tmp_path, device(tmp_path, 1, ""), story=story), "accuracy")
    assert "refused  3 more: --report names them" in words
    assert len([line for line in words if "too old" in line]) == 10


def test_a_round_that_is_evaluated_later_ends_once() -> None:
    story = Story(lambda node: node)
    assert not story.has_ended(1)
    story.hear(RoundFinished(round=1, train_metrics={}, evaluate_metrics={}), 9.0)
    assert story.has_ended(1)
    story.hear(RoundFinished(round=1, train_metrics={}, evaluate_metrics={"accuracy": 0.5}), 44.0)
    assert (story.rounds[1].ended, story.rounds[1].metrics) == (9.0, {"accuracy": 0.5})
