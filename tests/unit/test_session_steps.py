"""The table of steps: every way through it ends, and nothing leads from a kept reply back to training."""

from flip_agent.federation.steps import NEXT, Outcome, Step

WORKING = [step for step in Step if step is not Step.FORGOTTEN]


def test_every_step_knows_what_follows_when_it_is_done() -> None:
    assert [step for step in WORKING if (step, Outcome.DONE) not in NEXT] == []


def test_what_nobody_waits_for_is_dropped_before_it_is_trained_and_never_after() -> None:
    gone = {step: NEXT[step, Outcome.GONE] for step in WORKING if step is not Step.READY}
    forgotten = {Step.PULLED, Step.CONFIRMED, Step.TRAINING, Step.LATE}  # of a late one the hub has refused the reply
    assert {step for step, following in gone.items() if following is Step.FORGOTTEN} == forgotten
    assert gone[Step.PUSHING] is Step.PUSHED  # it may have counted before the run ended: the receipt says
    assert gone[Step.PUSHED] is Step.LATE


def test_steps_only_lead_forward() -> None:
    order = list(Step)
    assert [
        (step, following) for (step, _), following in NEXT.items() if order.index(following) <= order.index(step)
    ] == []


def test_a_refused_message_is_answered_without_training() -> None:
    step, way = NEXT[Step.PULLED, Outcome.REFUSED], [Step.PULLED]
    while step is not Step.FORGOTTEN:
        way.append(step)
        step = NEXT[step, Outcome.DONE]
    assert way == [Step.PULLED, Step.READY, Step.PUSHING, Step.PUSHED]
