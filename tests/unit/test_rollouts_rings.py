"""Which device is in which ring, and what a device shall serve while a rollout goes on."""

from pathlib import Path

import pytest
from msgspec import Struct

from flip_hub.devices.fleet_state import FleetState, Staged, as_model
from flip_hub.devices.reach import Reach, place, ring_of
from flip_hub.problem import Unprocessable
from flip_hub.rollouts.request import checked_rings, new_rollout, rings_of
from flip_hub.rollouts.schemas import RingState, Rollout
from flip_hub.rollouts.sightings import reaches
from flip_hub.rollouts.terms import EVERYBODY, MOST_RINGS, Gates, Ring
from flip_hub.settings import Settings
from flip_runtime.config import load_config
from flip_runtime.errors import ConfigError
from flip_wire.fleet import DeviceId
from flip_wire.models import ModelAssignment, Sha256


class Box(Struct, frozen=True):
    id: DeviceId
    tags: list[str] = []
    site: str = ""


def boxes(count: int, *tags: str, site: str = "") -> list[Box]:
    return [Box(DeviceId(f"dev-{number:012x}"), list(tags), site) for number in range(count)]


def version(number: int, model: str = "digits") -> ModelAssignment:
    return ModelAssignment(model=model, version=number, manifest=Sha256(f"{number:064x}"), size=1)


def rollout(rings: list[Ring], devices: list[Box]) -> Rollout:
    made = new_rollout(version(2), version(1), checked_rings(rings), Gates(), devices, by="ada", run_id="", at=1.0)
    assert [each.state for each in made.rings] == [RingState.OPEN, *[RingState.PENDING] * (len(rings) - 1)]
    return made


def rings_of_devices(made: Rollout, devices: list[Box]) -> list[int | None]:
    return [ring_of(made.id, reaches(made.rings), device) for device in devices]


def test_a_place_is_a_fixed_fraction_and_differs_from_rollout_to_rollout() -> None:
    assert place("rollout-1", "dev-1") == place("rollout-1", "dev-1")
    places = [place("rollout-1", device.id) for device in boxes(1000)]
    assert all(0 <= each < 1 for each in places)
    assert 0.4 < sum(places) / 1000 < 0.6
    assert place("rollout-1", "dev-1") != place("rollout-2", "dev-1")


@pytest.mark.parametrize(("count", "expected"), [(1000, [50, 450, 500]), (3, [1, 1, 1]), (1, [1, 0, 0])])
def test_shares_are_exact_count_earlier_rings_in_and_are_never_empty(count: int, expected: list[int]) -> None:
    devices = boxes(count)
    made = rollout([Ring(name="canary", share=0.05), Ring(name="half", share=0.5), EVERYBODY], devices)
    drawn = rings_of_devices(made, devices)
    assert [drawn.count(ring) for ring in range(3)] == expected


def test_tags_and_sites_choose_and_a_share_is_of_those_chosen() -> None:
    lab, roof, others = boxes(10, "lab"), boxes(30, "x", site="roof")[10:], boxes(60)[30:]
    devices = [*lab, *roof, *others]
    made = rollout([Ring(name="lab", tags=["lab"]), Ring(name="roof", share=0.3, sites=["roof"]), EVERYBODY], devices)
    drawn = rings_of_devices(made, devices)
    assert drawn[:10] == [0] * 10
    assert sorted(ring or 0 for ring in drawn[10:30]) == [1] * 6 + [2] * 14
    assert drawn[30:] == [2] * 30


def test_a_device_that_joins_later_has_its_ring_too() -> None:
    made = rollout([Ring(name="half", share=0.5), EVERYBODY], boxes(200))
    drawn = rings_of_devices(made, boxes(2000)[200:])
    assert None not in drawn
    assert 700 < drawn.count(0) < 1100


def test_a_ring_that_no_device_is_in_is_refused_by_name() -> None:
    with pytest.raises(Unprocessable, match=r"ring 'lab' is empty: no device is enrolled with tag lab or site roof"):
        rollout([Ring(name="lab", tags=["lab"], sites=["roof"]), EVERYBODY], boxes(3))
    with pytest.raises(Unprocessable, match="ring 'everybody' is empty: no device is enrolled"):
        rollout([EVERYBODY], [])


@pytest.mark.parametrize(
    ("rings", "named"),
    [
        ([], "there are 0 rings"),
        ([Ring(name="a", share=0.1)], "the last ring, 'a', is not everybody"),
        ([Ring(name="a", tags=["x"])], "the last ring, 'a', is not everybody"),
        ([Ring(name="a"), Ring(name="b")], "ring 'a' is everybody, and is not the last"),
        ([Ring(name="a", share=0.1), Ring(name="a")], "two rings are named 'a'"),
        ([*[Ring(name=f"r{n}", share=0.1) for n in range(MOST_RINGS)], EVERYBODY], "there are 11 rings"),
    ],
)
def test_rings_that_are_none_are_refused_by_name(rings: list[Ring], named: str) -> None:
    with pytest.raises(Unprocessable, match=named):
        checked_rings(rings)
    if rings:
        with pytest.raises(ConfigError, match=f"rollouts.rings: {named}"):
            rings_of(rings)


def test_without_rings_in_the_settings_there_are_none() -> None:
    assert rings_of([]) == []


def test_what_a_device_shall_serve_follows_from_its_place_and_tags() -> None:
    staged = Staged(
        rollout="r", assignment=version(2), reaches=[Reach(tags=["lab"], since=5.0), Reach(below=0.5, since=9.0)]
    )
    state = FleetState(
        generation=3, models=[version(1), version(7, "other")], since={as_model("digits"): 1.0}, staged=[staged]
    )
    assert {device.id for device in boxes(100) if state.models_of(device) == [version(2), version(7, "other")]} == {
        device.id for device in boxes(100) if place("r", device.id) < 0.5
    }
    (lab,) = boxes(1, "lab")
    assert (state.models_of(lab)[0], state.wanted_since("digits", lab)) == (version(2), 5.0)
    out = next(device for device in boxes(100) if place("r", device.id) >= 0.5)
    assert (state.models_of(out), state.wanted_since("digits", out)) == (state.models, 1.0)


def test_the_first_version_of_a_model_is_wanted_of_its_rings_alone() -> None:
    state = FleetState(generation=1, staged=[Staged(rollout="r", assignment=version(1), reaches=[Reach(tags=["lab"])])])
    assert state.models_of(boxes(1, "lab")[0]) == [version(1)]
    assert state.models_of(boxes(1)[0]) == []


def test_rings_and_gates_are_read_from_the_file_as_the_handbook_shows_them(tmp_path: Path) -> None:
    handbook = (Path(__file__).parents[2] / "docs" / "OPERATIONS.md").read_text()
    (shown,) = [part for part in handbook.split("```") if part.startswith("toml\n[[rollouts.rings]]")]
    file = tmp_path / "hub.toml"
    file.write_text(shown.removeprefix("toml\n"))
    rollouts = load_config(Settings, file, environment={}).rollouts
    assert [ring.name for ring in rings_of(rollouts.rings)] == ["canary", "everybody"]
    assert rollouts.gates == Gates(), "it shows the defaults"
    file.write_text('[[rollouts.rings]]\nname = "canary"\nshare = 2\n')
    with pytest.raises(ConfigError, match=r"rollouts\.rings is .*share"):
        load_config(Settings, file, environment={})
