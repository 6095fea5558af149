"""What a run may override."""

import pytest

from flip_hub.apps.schemas import App
from flip_hub.federation.plan import Plan
from flip_hub.federation.run_request import NO_EXPORT, new_run
from flip_hub.federation.schemas import RunRequest, Value
from flip_hub.problem import Unprocessable
from flip_wire.models import Sha256

HASH = Sha256("0" * 64)
CONFIG: dict[str, Value] = {"rounds": 3, "rate": 0.1, "fast": False, "out": ""}


def app(export: str | None = None) -> App:
    return App(
        fab_hash=HASH, publisher="p", name="n", version="1", size=1, config=CONFIG, export=export, uploaded_at=1.0
    )


def requested(**config: Value) -> RunRequest:
    return RunRequest(fab_hash=HASH, config=config)


def test_a_run_shows_the_whole_configuration() -> None:
    run = new_run("run-1", app("n.export:export"), requested(rounds=5), 1.0)
    assert run.config == {**CONFIG, "rounds": 5}
    assert run.warning == ""


def test_what_is_drawn_follows_from_the_plans_seed_or_from_one_that_is_drawn() -> None:
    planned = RunRequest(fab_hash=HASH, plan=Plan(seed=7))
    assert new_run("run-1", app(), planned, 1.0).seed == 7
    seeds = {new_run("run-1", app(), requested(), 1.0).seed for _ in range(3)}
    assert len(seeds) == 3


def test_a_whole_number_is_taken_where_a_number_is_asked() -> None:
    rate = new_run("run-1", app(), requested(rate=1), 1.0).config["rate"]
    assert isinstance(rate, float)


def test_an_app_without_export_is_warned_about_before_it_runs() -> None:
    assert new_run("run-1", app(), requested(), 1.0).warning == NO_EXPORT


@pytest.mark.parametrize(
    ("config", "problem"),
    [
        ({"round": 5}, r"no configuration key 'round' \(it has: fast, out, rate, rounds\)"),
        ({"rounds": 1.5}, r"rounds is 1.5 \(it must be a whole number, such as 3\)"),
        ({"rounds": True}, "rounds is True"),
        ({"fast": 1}, r"fast is 1 \(it must be true or false"),
        ({"rate": "0.1"}, "rate is '0.1'"),
        ({"out": 7}, "out is 7"),
        ({"rounds": 2**63}, "rounds needs more than 64 bits"),
    ],
)
def test_a_wrong_override_is_refused_by_name(config: dict[str, Value], problem: str) -> None:
    with pytest.raises(Unprocessable, match=problem):
        new_run("run-1", app(), requested(**config), 1.0)


def test_a_run_of_no_rounds_is_refused_before_it_begins() -> None:
    usual = App(
        fab_hash=HASH,
        publisher="p",
        name="n",
        version="1",
        size=1,
        config={"num-server-rounds": 3},
        export=None,
        uploaded_at=1.0,
    )
    for rounds in (0, -5):
        with pytest.raises(Unprocessable, match=rf"num-server-rounds is {rounds} \(one is the least\)"):
            new_run("run-1", usual, RunRequest(fab_hash=HASH, config={"num-server-rounds": rounds}), 1.0)


def test_nonsense_about_promotion_is_refused() -> None:
    with pytest.raises(Unprocessable, match="promote is 'worst'"):
        new_run("run-1", app(), RunRequest(fab_hash=HASH, promote="worst"), 1.0)
    with pytest.raises(Unprocessable, match="metric"):
        new_run("run-1", app(), RunRequest(fab_hash=HASH, metric=""), 1.0)
