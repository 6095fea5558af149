"""Where a model version goes after each step of its rollout."""

import pytest

from flip_agent.models.stages import STEPS, Outcome, Stage, following

UNFINISHED = list(STEPS)


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
    assert following(stage, Outcome.CORRUPT) in (Stage.WANTED, Stage.SIGNED)


@pytest.mark.parametrize("stage", [Stage.FETCHED, Stage.PREPARED, Stage.TRIED, Stage.FLIPPED])
def test_an_inference_server_that_goes_away_must_prepare_again_what_was_fetched(stage: Stage) -> None:
    assert following(stage, Outcome.UNAVAILABLE) is Stage.FETCHED


def test_only_what_a_trusted_key_has_signed_is_fetched() -> None:
    assert following(Stage.WANTED, Outcome.UNTRUSTED) is Stage.UNTRUSTED
    assert [stage for stage in STEPS if following(stage, Outcome.DONE) is Stage.SIGNED] == [Stage.WANTED]
    assert [stage for stage in STEPS if following(stage, Outcome.DONE) is Stage.FETCHED] == [Stage.SIGNED]
