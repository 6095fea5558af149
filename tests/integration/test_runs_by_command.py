"""Runs as somebody types them, over real devices: what they begin with, how they stand still, go on, and end."""

import asyncio
import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from interrupted_run import fleet, until
from session_lab import APPS, Hub, rounds

from flip_hub.devices.schemas import DeviceStatus
from flip_hub_command import flip_hub

pytestmark = pytest.mark.asyncio(loop_scope="module")


class Typed:
    """`flip-hub runs`, on the hub's own machine."""

    def __init__(self, hub: Hub, folder: Path) -> None:
        self._hub = hub
        self._folder = folder

    async def says(self, *words: str, status: int = 0) -> str:
        ran = await flip_hub(self._folder, "runs", *words, state=self._hub.settings.hub.state)
        assert ran.returncode == status, ran.stdout + ran.stderr
        return ran.stdout + ran.stderr

    async def starts(self, app: str, config: Mapping[str, object], *words: str, status: int = 0) -> str:
        """`num_server_rounds` is `num-server-rounds`."""
        pairs = [f"{name.replace('_', '-')}={value}" for name, value in config.items()]
        options = [word for pair in pairs for word in ("--config", pair)]
        return await self.says("start", str(APPS / app), *options, *words, status=status)

    async def shows(self, run_id: str) -> dict[str, Any]:
        return json.loads(await self.says("show", run_id, "--json"))

    async def ended(self, run_id: str) -> dict[str, Any]:
        await self._hub.finished(run_id)
        return (await self.shows(run_id))["run"]


def started(said: str) -> str:
    """The run's id."""
    return next(line for line in said.splitlines() if line.startswith("started ")).split()[1].rstrip(":")


async def test_a_run_begins_with_a_version_or_after_a_round_of_another_and_refuses_what_does_not_fit(
    hub: Hub, folder: Path
) -> None:
    typed, out = Typed(hub, folder), folder / "out"
    async with fleet(hub, folder, ["a"]):
        config: dict[str, object] = {"devices": 1, "num_server_rounds": 2, "out": out}
        first = started(await typed.starts("counting", config, "--follow"))
        assert [each["mean"] for each in rounds(out)] == [1.0, 2.0]

        async def means(last: int, *words: str) -> list[float]:
            """Of the rounds of a run that begins so; each adds 1."""
            out.unlink(missing_ok=True)
            await typed.starts("counting", {**config, "num_server_rounds": last}, *words, "--follow")
            return [each["mean"] for each in rounds(out)]

        versions = await asyncio.to_thread(hub.api.versions, "counting")
        last = next(each.manifest.version for each in versions if each.manifest.round == 2)
        assert await means(1, "--from-model", f"counting:{last}") == [3.0]
        assert await means(2, "--from-run", f"{first}:1") == [2.0]

        refused = await typed.starts("counting", {"num_server_rounds": 20}, "--from-run", f"{first}:9", status=1)
        assert f"plan.start.round: {first} has no checkpoint of round 9 (there are: 0, 1, 2)" in refused
        other = {**config, "num_server_rounds": 5, "size": 7}
        for words, whose in ((("--from-model", "counting"), "the version"), (("--from-run", first), "the earlier run")):
            refused = await typed.starts("counting", other, *words, "--follow", status=1)
            assert f"0 of {whose} is float32 [1000], of the app's model float32 [7]" in refused


async def test_a_version_is_followed_back_to_its_run_and_its_devices(hub: Hub, folder: Path) -> None:
    typed, state = Typed(hub, folder), hub.settings.hub.state

    async def models(*words: str, status: int = 0) -> str:
        ran = await flip_hub(folder, "models", *words, state=state)
        assert ran.returncode == status, ran.stderr
        return ran.stdout + ran.stderr

    async with fleet(hub, folder, ["a"]):
        config = {"devices": 1, "num_server_rounds": 2, "out": folder / "out"}
        run_id = started(await typed.starts("counting", config, "--follow"))
    first, *_ = sorted(
        each.manifest.version
        for each in await asyncio.to_thread(hub.api.versions, "counting")
        if each.manifest.run_id == run_id
    )
    listed = (await models("show", "counting")).splitlines()
    assert [line.split()[3:5] for line in listed if run_id in line] == [[run_id, "2"], [run_id, "1"]]
    (answered,) = {device for each in (await typed.shows(run_id))["rounds"] for device in each["answered"]}
    told = await models("lineage", "counting", str(first + 1))
    assert f"version {first + 1} of counting: round 2 of {run_id} (counting 1.0.0), after version {first}" in told
    made = next(line.split() for line in told.splitlines() if line.startswith(answered))
    assert made[:2] == [answered, "2"], "it was in both rounds"
    assert f"flip-hub runs receipts {run_id}" in told
    assert "no version 0 of model 'counting'" in await models("lineage", "counting", "0", status=1)


async def test_anybody_checks_a_runs_receipts_with_keys_kept_elsewhere(hub: Hub, folder: Path) -> None:
    state = hub.settings.hub.state
    typed = Typed(hub, folder)
    async with fleet(hub, folder, ["a"]):
        config = {"devices": 1, "num_server_rounds": 2, "out": folder / "out"}
        run_id = started(await typed.starts("counting", config, "--follow"))
    file, hub_key, device_keys = (folder / name for name in ("receipts", "hub.pub", "devices.json"))
    await typed.says("receipts", run_id, "--out", str(file))
    for path, *words in ((hub_key, "key"), (device_keys, "device-keys", run_id)):
        ran = await flip_hub(folder, "receipts", *words, state=state)
        assert ran.returncode == 0, ran.stderr
        path.write_text(ran.stdout)

    async def verified(*words: str) -> str:
        """Without a hub."""
        ran = await flip_hub(folder, "receipts", "verify", str(file), *words, state=folder / "nowhere")
        return ran.stdout + ran.stderr

    trusted = ("--hub-key", str(hub_key), "--device-keys", str(device_keys))
    assert "are whole: 2 entries, 2 signed by their devices" in await verified(*trusted)
    keys = json.loads(device_keys.read_text())
    assert len(keys) == 1
    stranger = ec.generate_private_key(ec.SECP384R1()).public_key()
    pem = stranger.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    device_keys.write_text(json.dumps(dict.fromkeys(keys, pem.decode())))
    assert f"the receipts of {run_id} are broken" in await verified(*trusted)


async def test_a_run_that_goes_on_from_another_has_its_own_options_and_what_the_strategy_has_learnt(
    hub: Hub, folder: Path
) -> None:
    """The first run waits for two devices, of which one goes; the second asks for one, with another learning rate."""
    typed, config = Typed(hub, folder), {"devices": 2, "num_server_rounds": 1, "calls": folder / "calls"}
    async with fleet(hub, folder, ["a", "b"]):
        first = started(await typed.starts("drifting", config, "--follow"))
    await hub.forget()
    onward = {**config, "devices": 1, "num_server_rounds": 2}
    async with fleet(hub, folder / "a", ["c"]):
        said = await typed.starts("drifting", onward, "--from-run", first, "--follow", "--wait", "60")
        run = await typed.shows(started(said))
    assert run["run"]["status"] == "finished"
    assert [each["round"] for each in run["rounds"]] == [2], "and no round is told a second time"
    assert len(run["rounds"][0]["answered"]) == 1


async def test_a_run_is_paused_resumed_and_stopped_by_command_and_another_goes_on_from_its_round(
    hub: Hub, folder: Path
) -> None:
    typed, calls = Typed(hub, folder), folder / "calls"
    # more rounds than there is time for: the run must not end before it is stopped
    config = {"devices": 2, "num_server_rounds": 30, "seconds": 1.0, "calls": calls}

    def reached(number: int) -> bool:
        return calls.exists() and f"train {number} " in calls.read_text()

    async with fleet(hub, folder, ["a", "b"]):
        run_id = started(await typed.starts("drifting", config))
        await until(lambda: reached(1))
        assert await typed.says("pause", run_id) == f"{run_id} is paused\n"
        assert (await typed.shows(run_id))["run"]["status"] == "paused"
        assert "[ROUND 1/30]" in await typed.says("log", run_id)
        assert f"run {run_id} is paused" in await typed.says("pause", run_id, status=1)
        assert await typed.says("resume", run_id) == f"{run_id} is pending\n"
        assert "is not paused" in await typed.says("resume", run_id, status=1)
        await until(lambda: reached(3))
        assert "is stopped" in await typed.says("stop", run_id)
        assert f"run {run_id} is stopped" in await typed.says("stop", run_id, status=1)
        assert "a new run: --from-run names it" in await typed.says("resume", run_id, status=1)
        done = calls.read_text().split("\n")
        assert len(done) == len(set(done)), "no device did a round twice"
        rest = {**config, "num_server_rounds": 3, "seconds": 0.0}
        said = await typed.starts("drifting", rest, "--from-run", f"{run_id}:2", "--follow")
    assert [each["round"] for each in (await typed.shows(started(said)))["rounds"]] == [3]


async def test_a_run_has_the_strategy_the_devices_and_the_rules_that_are_typed(hub: Hub, folder: Path) -> None:
    typed, config = Typed(hub, folder), {"devices": 1, "num_server_rounds": 2, "calls": folder / "calls"}
    async with fleet(hub, folder, ["a", "b"]):
        devices = await asyncio.to_thread(hub.api.devices)  # earlier tests' too, which had the same names
        ids = {device.name: device.id for device in devices if device.status is not DeviceStatus.REVOKED}

        async def ran(*words: str, says: str = "", status: int = 0, **more: object) -> dict[str, Any]:
            said = await typed.starts("drifting", {**config, **more}, *words, "--follow", status=status)
            assert says in said
            run = await typed.shows(started(said))
            assert run["run"]["status"] == "finished"
            return run

        tagged = await flip_hub(folder, "devices", "tag", ids["b"], "lab", state=hub.settings.hub.state)
        assert tagged.returncode == 0, tagged.stderr
        run = await ran("--strategy", "fedyogi", "--option", "eta=0.05", "--tag", "lab")
        assert (run["run"]["strategy"], run["run"]["plan"]["options"]) == ("FedYogi", {"eta": 0.05})
        assert [each["answered"] for each in run["rounds"]] == [[ids["b"]]] * 2
        assert all(each["evaluate_metrics"]["accuracy"] > 0 for each in run["rounds"]), "of the only device"

        run = await ran("--over-sample", "1", fraction=0.5, devices=2, num_server_rounds=1)
        assert sorted(run["rounds"][0]["sampled"]) == sorted(ids.values())

        void = "the round is void: 0 results of 2 devices asked, its quorum is 2"
        rules = ("--deadline", "1", "--quorum", "1")
        run = await ran(*rules, says=void, status=1, devices=2, seconds=5.0, num_server_rounds=1)
        assert [each["void"] for each in run["rounds"]] == [void]


async def test_a_strategy_that_waits_for_more_devices_than_there_are_ends_by_its_limit_and_says_so(
    hub: Hub, folder: Path
) -> None:
    typed = Typed(hub, folder)
    async with fleet(hub, folder, ["a"]):
        said = await typed.starts("drifting", {"devices": 5}, "--wait", "2", "--follow", status=1)
        run_id = started(said)
        assert said.count("too few devices for 2 s: 1 of the 1 online may take part") == 1
        assert "too few devices for 2 s" in await typed.says("show", run_id)
        run = (await asyncio.to_thread(hub.api.run, run_id)).run
        assert (run.status, run.round, run.wants) == ("failed", 0, 5)


async def test_what_cannot_run_is_refused_at_its_start_by_the_fields_name(hub: Hub, folder: Path) -> None:
    typed = Typed(hub, folder)
    private = ("--privacy", "hub-fixed", "--clip", "1", "--noise", "1", "--delta", "1e-5")
    async with fleet(hub, folder, ["a"]):
        for words, what in (
            (("--strategy", "fedadam", "--option", "eta=-1"), "plan.options.eta: "),
            (("--strategy", "fedsgd"), "plan.strategy: "),
            (("--quorum", "2"), "--quorum: plan.rounds.quorum: "),
            (("--update", "topk=0.01"), "--update topk=0.01 is no form of updates (float, int8, "),
            (("--config", "num-server-rounds=0"), "num-server-rounds is 0"),
            (("--config", "lr=1"), "no configuration key 'lr'"),
            ((*private, "--epsilon-budget", "0"), "--epsilon-budget"),
            ((*private, "--epsilon-budget", "99", "--secure"), "--privacy: plan.privacy: in mode hub-fixed"),
        ):
            said = await typed.starts("drifting", {}, *words, status=1)
            assert what in said
            assert "epsilon 0 of" not in said, "a price is told of what can start"


@pytest.mark.parametrize(
    ("component", "told"),
    [
        ("serverapp", "serverapp names 'counting.broken:server': counting.broken needs no_such_module"),
        ("clientapp", "No module named 'no_such_module'"),
    ],
)
async def test_an_app_that_does_not_import_says_so(hub: Hub, folder: Path, component: str, told: str) -> None:
    """The hub refuses what it lacks itself; of what devices lack it hears from them."""
    typed = Typed(hub, folder)
    app = shutil.copytree(APPS / "counting", folder / "app")
    broken = app / "counting" / "broken.py"
    broken.write_text("import no_such_module\nserver = client = None\n")
    pyproject = app / "pyproject.toml"
    named = pyproject.read_text().replace(f'{component} = "counting.app:', f'{component} = "counting.broken:')
    pyproject.write_text(named)
    async with fleet(hub, folder, ["a"]):
        config = {"devices": 1, "num_server_rounds": 1, "out": folder / "out"}
        said = await typed.starts(str(app), config, "--follow", status=1)
    assert told in said
