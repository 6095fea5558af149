"""Where a model version goes after each step of its rollout."""

import pytest

from flip_agent.models.rollout import Outcome, Stage, following

UNFINISHED = [Stage.WANTED, Stage.FETCHED, Stage.PREPARED, Stage.FLIPPED]


def test_a_version_that_passes_every_step_is_served() -> None:
    stage = Stage.WANTED
    for _ in UNFINISHED:
        stage = following(stage, Outcome.DONE)
    assert stage is Stage.SERVING


@pytest.mark.parametrize("stage", UNFINISHED)
def test_a_refusal_is_final_at_every_stage(stage: Stage) -> None:
    assert following(stage, Outcome.REJECTED) is Stage.REFUSED


@pytest.mark.parametrize("stage", UNFINISHED)
def test_damage_sends_a_version_back_to_be_fetched(stage: Stage) -> None:
    assert following(stage, Outcome.CORRUPT) is Stage.WANTED


@pytest.mark.parametrize("stage", [Stage.FETCHED, Stage.PREPARED, Stage.FLIPPED])
def test_an_inference_server_that_goes_away_must_prepare_again_what_was_fetched(stage: Stage) -> None:
    assert following(stage, Outcome.UNAVAILABLE) is Stage.FETCHED
