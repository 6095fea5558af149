"""What a device has trained of its local parts lies there whole for `serve`, or is known to be damaged."""

import errno
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from flwr.app import Array, ArrayRecord, ConfigRecord
from numpy.typing import NDArray

from flip_agent.federation import own_parts_keeper
from flip_agent.federation.flower import context, context_state
from flip_agent.federation.mods.local_parts import OWN
from flip_agent.federation.own_parts_keeper import OwnPartsKeeper
from flip_agent.models.store import ModelStore
from flip_agent.own_parts import OwnPartsFolder, same_arrays
from flip_demo.perceptron import make_version
from flip_runtime.errors import Corrupt, Unavailable
from flip_wire.terms import Terms

HEAD = {"head.weight": np.arange(6, dtype=np.float32).reshape(2, 3), "norm.steps": np.array(4, np.int64)}


class Device:
    def __init__(self, folder: Path) -> None:
        self.store = ModelStore(folder / "models")
        self.store.create()
        self.folder = folder / "parts"
        self.files = OwnPartsFolder(self.folder)
        self.keeper = OwnPartsKeeper(self.folder, self.store, now=lambda: 7.5)

    def train(self, arrays: dict[str, NDArray[Any]], run_id: str = "run-1", number: int = 3) -> None:
        terms = Terms(run_id=run_id, round=number, local=["head.*", "norm.*"])
        self.keeper.keep(terms, state_with(arrays))


def state_with(arrays: dict[str, NDArray[Any]]) -> bytes:
    around = context(run_id="1", node_id="1", node_config={}, run_config={}, state=b"")
    around.state["of-the-app"] = ConfigRecord({"calls": 3})
    around.state[OWN] = ArrayRecord({name: Array(array) for name, array in arrays.items()})
    return context_state(around)


@pytest.fixture
def device(folder: Path) -> Device:
    return Device(folder)


def test_what_was_trained_is_found_by_its_run_with_the_round_that_it_is_of(device: Device) -> None:
    device.train(HEAD)
    found = device.files.read("run-1")
    assert found is not None
    assert (found.run_id, found.round, found.trained_at) == ("run-1", 3, 7.5)
    assert same_arrays(found.arrays, HEAD)
    assert device.files.path("run-1").stat().st_mode & 0o777 == 0o600
    assert device.folder.stat().st_mode & 0o777 == 0o700
    assert device.files.read("run-2") is None


def test_it_is_written_only_when_it_has_changed(device: Device) -> None:
    device.train(HEAD)
    before = device.files.stamp("run-1")
    device.train(HEAD, number=4)
    assert device.files.stamp("run-1") == before
    device.train({**HEAD, "norm.steps": np.array(5, np.int64)}, number=5)
    assert device.files.stamp("run-1") != before
    changed = device.files.read("run-1")
    assert changed is not None
    assert changed.round == 5


def test_a_run_without_local_parts_leaves_nothing(device: Device) -> None:
    device.keeper.keep(Terms(run_id="run-1", round=1), state_with(HEAD))
    device.keeper.keep(Terms(run_id="run-1", round=1, local=["head.*"]), b"")
    assert not device.folder.exists()


def test_what_no_graph_takes_is_left_out(device: Device) -> None:
    device.train({**HEAD, "head.names": np.array(["a", "b"])})
    found = device.files.read("run-1")
    assert found is not None
    assert found.arrays.keys() == HEAD.keys()


def test_any_damage_is_found_and_the_next_training_mends_it(device: Device) -> None:
    device.train(HEAD)
    path = device.files.path("run-1")
    whole = path.read_bytes()
    refused = 0
    for position in range(len(whole)):
        path.write_bytes(whole[:position] + bytes([whole[position] ^ 1]) + whole[position + 1 :])
        try:
            found = device.files.read("run-1")
        except Corrupt:
            refused += 1
        else:  # a space of the header, for example
            assert found is not None
            assert same_arrays(found.arrays, HEAD)
    assert refused > 0.9 * len(whole)
    for cut in (0, 4, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:cut])
        with pytest.raises(Corrupt):
            device.files.read("run-1")
    device.train(HEAD)
    assert device.files.read("run-1") is not None


def test_the_file_of_another_run_is_not_taken_for_this_one(device: Device) -> None:
    device.train(HEAD, "run-1")
    device.files.path("run-1").rename(device.files.path("run-2"))
    with pytest.raises(Corrupt):
        device.files.read("run-2")


@pytest.mark.parametrize("run_id", ["../../agent", "/etc/passwd", "a" * 5000, "", "\0"])
def test_the_name_of_a_run_leads_nowhere_else(device: Device, run_id: str) -> None:
    device.train(HEAD, run_id)
    assert device.files.path(run_id).parent == device.folder
    assert device.files.read(run_id) is not None


def test_files_of_the_newest_runs_stay_and_those_in_service(device: Device) -> None:
    for number, run_id in ((1, "run-0"), (2, "run-2")):
        made = make_version(device.store, "digits", number, seed=1, run_id=run_id)
        device.store.activate("digits", made)
    for number in range(12):
        device.train(HEAD, f"run-{number}")
        os.utime(device.files.path(f"run-{number}"), ns=(number, number))
    there = [number for number in range(12) if device.files.read(f"run-{number}") is not None]
    assert there == [0, 2, *range(4, 12)]


def test_nothing_is_removed_while_it_is_not_known_what_is_in_service(device: Device) -> None:
    made = make_version(device.store, "digits", 1, seed=1, run_id="run-0")
    device.store.activate("digits", made)
    device.store.blob(made).write_bytes(b"damaged")
    for number in range(12):
        device.train(HEAD, f"run-{number}")
    assert len(list(device.folder.iterdir())) == 12


@pytest.mark.parametrize(("number", "waits"), [(errno.ENOSPC, True), (errno.EDQUOT, True), (errno.EROFS, False)])
def test_a_full_disk_is_waited_for_and_any_other_trouble_does_not_keep_the_reply_back(
    device: Device, monkeypatch: pytest.MonkeyPatch, number: int, waits: bool
) -> None:
    def fails(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(own_parts_keeper, "write_file", fails)
    if waits:
        with pytest.raises(Unavailable):
            device.train(HEAD)
    else:
        device.train(HEAD)
    assert device.files.read("run-1") is None
