"""The command line of a private run, and its price in words."""

import argparse

import pytest

from flip_hub.commands.run_privacy import add_privacy, in_words, privacy_of
from flip_hub.federation.privacy.schemas import HubAdaptive, HubFixed, Local, Privacy, PrivacySpent
from flip_runtime.errors import Rejected

FIXED = "--privacy hub-fixed --noise 1.0 --clip 2 --delta 1e-5 --epsilon-budget 8"
LOCAL = "--privacy local --clip 2 --delta 1e-5 --epsilon-budget 8 --message-epsilon 0.5 --message-delta 1e-6"


def parsed(line: str) -> Privacy | None:
    parser = argparse.ArgumentParser()
    add_privacy(parser)
    return privacy_of(parser.parse_args(line.split()))


def test_options_become_the_plans_privacy() -> None:
    assert parsed("") is None
    assert parsed(FIXED) == HubFixed(noise_multiplier=1.0, clipping_norm=2.0, delta=1e-5, budget=8.0)
    assert parsed(FIXED.replace("fixed", "adaptive") + " --count-noise 3 --clipped-share 0.4") == HubAdaptive(
        noise_multiplier=1.0, clipping_norm=2.0, clipped_count_stddev=3.0, clipped_share=0.4, delta=1e-5, budget=8.0
    )
    assert parsed(LOCAL + " --privacy-metrics shown") == Local(
        clipping_norm=2.0, message_epsilon=0.5, message_delta=1e-6, metrics="shown", delta=1e-5, budget=8.0
    )


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("--noise 1", r"--noise is for a private run \(--privacy hub-fixed\|"),
        (FIXED.replace("--clip 2", ""), r"--privacy hub-fixed needs --clip \(length"),
        (
            FIXED.replace("--epsilon-budget 8", "--epsilon-budget 0"),
            r"--epsilon-budget is 0\.0 \(it must be a number > 0",
        ),
        (FIXED.replace("1e-5", "1"), r"--delta is 1\.0 \(it must be a number < 1"),
        (FIXED.replace("--noise 1.0", "--noise nan"), r"--noise is nan"),
        (FIXED + " --sensitivity 1", "--sensitivity is not of --privacy hub-fixed"),
        (LOCAL + " --noise 1", "--noise is not of --privacy local"),
    ],
)
def test_a_wrong_option_is_named(line: str, why: str) -> None:
    with pytest.raises(Rejected, match=why):
        parsed(line)


def test_what_is_spent_and_will_be_in_words() -> None:
    spent = PrivacySpent(mode="local", epsilon=4.3772, delta=1e-5, budget=8.0, planned=6.573, releases=[])
    assert in_words(spent) == "epsilon 4.377 of 8 for delta 1e-05 (local), 6.573 after all rounds"
    done = PrivacySpent(mode="local", epsilon=6.573, delta=1e-5, budget=8.0, planned=6.573, releases=[])
    assert in_words(done) == "epsilon 6.573 of 8 for delta 1e-05 (local)"
