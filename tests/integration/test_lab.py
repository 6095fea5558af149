"""`flip-hub lab`: a real hub, virtual devices with the agent's own session, faults by a seed: nothing finished is lost,
and the report is the same each time."""

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

APPS = Path(__file__).parents[1] / "apps"
WITHIN = 240.0
UPDATE = 80_000
"""Bytes of the model of `distant`."""

FAULTS = """
[link]
latency = 0.5
up = 20_000          # bytes a second: an update of 80 kB takes four
spread = 0.3

[training]
seconds = 20
spread = 0.5

[[outages]]
share = 0.5
every = 200
lasts = 60

[[traces]]
device = 1
power_cuts = [[5, 15]]          # in its first training
pace = 1.0

[[traces]]
device = 2
outages = [[22, 40]]            # in its first upload
pace = 1.0

[[traces]]
device = 3
ahead = 86_400
lies = { kind = "nan" }

[[traces]]
device = 4
ahead = -86_400
lies = { kind = "shape", from_round = 2 }

[[traces]]
device = 5
pace = 30.0                     # its results come when their round is over
"""


def lab(*options: object, **variables: str) -> "subprocess.CompletedProcess[str]":
    command = [str(Path(sys.executable).with_name("flip-hub")), "lab", *map(str, options)]
    environment = {**os.environ, **variables}
    return subprocess.run(command, capture_output=True, text=True, timeout=WITHIN, check=False, env=environment)


async def reports(folder: Path, *options: object) -> tuple[dict[str, Any], str, dict[str, Any]]:
    """Of two labs with the same faults and the same seed, at the same time; and what the first one says."""
    faults = folder / "faults.toml"
    faults.write_text(FAULTS)
    ends = [
        asyncio.to_thread(lab, APPS / "distant", "--faults", faults, "--seed", 3, *options, "--report", folder / name)
        for name in ("first.json", "second.json")
    ]
    first, second = await asyncio.gather(*ends)
    assert (first.returncode, second.returncode) == (0, 0), first.stderr + second.stderr
    one, two = (json.loads((folder / name).read_text()) for name in ("first.json", "second.json"))
    return one, first.stdout, two


@pytest.mark.asyncio
async def test_a_lab_loses_nothing_refuses_lies_and_tells_the_same_each_time(tmp_path: Path) -> None:
    one, said, two = await reports(tmp_path, "--devices", 6, "--deadline", 90)
    assert one == two
    assert (one["status"], one["lost"], one["twice"]) == ("finished", [], [])
    assert one["finished"] == one["accepted"] + one["late"] + one["refused"] + one["unwanted"]
    assert one["power_cuts"] >= one["cut_off"] >= 1, "device 1 was cut off in its training, which began anew"
    assert one["outages"] >= 1, "device 2 was cut off in its upload, which went on"
    assert one["wrong_clocks"] == 2
    assert one["late"] >= 1, "device 5 is too slow, and its results are kept"
    refused = {(each["device"], each["round"]): each["reason"] for each in one["refusals"]}
    assert "not finite" in refused["lab-0003", 1]
    assert ("lab-0004", 1) not in refused
    assert "float32" in refused["lab-0004", 2]
    assert [(each["device"], each["counted"] > 0) for each in one["liars"]] == [("lab-0003", False), ("lab-0004", True)]
    rounds = one["rounds"]
    assert [each["missed"] >= 1 for each in rounds] == [True] * len(rounds), "device 5 drops out of each"
    assert one["bytes_down"] >= UPDATE * sum(each["asked"] for each in rounds)
    assert one["bytes_up"] >= UPDATE * sum(each["counted"] + each["refused"] for each in rounds)
    accuracies = [each["metrics"]["accuracy"] for each in rounds]
    assert accuracies == sorted(accuracies)
    assert accuracies[-1] > accuracies[0] + 0.1
    moments = [each["ended"] for each in rounds]
    assert moments == sorted(moments)
    assert "lost     nothing; done twice: nothing" in said


@pytest.mark.asyncio
async def test_a_lab_of_another_strategy_that_folds_late_results_tells_the_same_each_time(tmp_path: Path) -> None:
    options = ["--devices", 5, "--strategy", "fedbuff", "--option", "buffer_size=2"]
    one, _, two = await reports(tmp_path, *options)
    assert one == two
    assert (one["strategy"], one["status"], one["lost"], one["twice"]) == ("FedBuff", "finished", [], [])
    assert sum(each["counted"] + each["folded"] for each in one["rounds"]) >= 6


REFUSED = {
    "nan": "0 holds NaN (20000 of 20000 values are not finite)",
    "infinite": "0 holds an infinity (20000 of 20000 values are not finite)",
    "shape": "0 is float32 [20001], the others' is float32 [20000]",
    "dtype": "0 is float64 [20000], the others' is float32 [20000]",
    "keys": "it has 'another', which the others do not have",
    "no-samples": "it stands on 0 samples",
    "many-samples": "it claims 1e+09 samples, more than 1e+08",
    "metrics": "it has the metric 'another', which the others do not have",
}
BELIEVED = ("scaled", "flipped")


@pytest.mark.asyncio
async def test_each_lie_is_refused_of_its_device_with_the_reason_and_the_rounds_go_on(tmp_path: Path) -> None:
    """Eight devices lie, each in its way, and three do not. Two more change what they have learnt, which no mean can
    know: the report says that they were believed."""
    faults = tmp_path / "faults.toml"
    traces = [
        f"[[traces]]\ndevice = {number}\npace = 1.0\nlies = {{ kind = '{kind}' }}\n"
        for number, kind in enumerate([*REFUSED, *BELIEVED], start=1)
    ]
    faults.write_text("".join(traces))
    told = tmp_path / "report.json"
    ended = await asyncio.to_thread(lab, APPS / "distant", "--devices", 13, "--faults", faults, "--report", told)
    assert ended.returncode == 0, ended.stderr
    report = json.loads(told.read_text())
    assert (report["status"], report["lost"]) == ("finished", [])
    reasons = {(each["device"], each["reason"]) for each in report["refusals"]}
    assert reasons == {(f"lab-{number:04}", reason) for number, reason in enumerate(REFUSED.values(), start=1)}
    assert len(report["refusals"]) == len(REFUSED) * len(report["rounds"])
    assert {each["counted"] for each in report["rounds"]} == {5}
    found = {each["told"]: (each["counted"], each["refused"]) for each in report["liars"]}
    often = len(report["rounds"])
    assert found == {**dict.fromkeys(REFUSED, (0, often)), **dict.fromkeys(BELIEVED, (often, 0))}


def test_a_lab_with_too_few_devices_ends_by_its_own_time_and_leaves_a_real_hub_of_the_environment_alone(
    tmp_path: Path,
) -> None:
    real, told = tmp_path / "real-hub", tmp_path / "report.json"
    variables = {"FLIP_HUB__STATE": str(real), "FLIP_HUB__PORT": "1", "FLIP_MONGO__URL": "mongodb://127.0.0.1:1"}
    ended = lab(APPS / "distant", "--devices", 1, "--wait", 50, "--report", told, **variables)
    report = json.loads(told.read_text())
    assert (ended.returncode, report["status"]) == (1, "failed"), ended.stderr
    assert "too few devices for 50 s: 1 of the 1 online may take part" in report["reason"]
    assert 50 <= report["seconds"] < 60
    assert not real.exists()


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ([APPS / "distant", "--devices", 0], "devices"),
        ([APPS / "nowhere"], "nowhere is no folder of a Flower app"),
        ([APPS / "distant", "--report", "/nowhere/x.json"], "--report /nowhere/x.json: No such file"),
        ([APPS / "distant", "--faults", "nowhere.toml"], r"nowhere.toml: No such file"),
        ([APPS / "distant", "--strategy", "fedold"], "fedold"),
        ([APPS / "distant", "--quorum", 3], "quorum"),
    ],
)
def test_what_no_lab_can_be_is_refused_by_its_name(options: list[object], named: str) -> None:
    ended = lab(*options)
    assert ended.returncode != 0
    assert named in ended.stderr
    assert "Traceback" not in ended.stderr
