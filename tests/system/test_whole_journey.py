"""The demo as a person and a script run it: the main job from end to end, and nothing left behind."""

import asyncio
import re
import signal
import sys
from pathlib import Path

import httpx
import msgspec
import pytest

from federation import left_of
from flip_agent.receipts import KeptReceipt
from flip_demo.layout import Layout
from flip_hub.lineage.schemas import Lineage
from flip_hub.receipts.chain import ReceiptEntry
from flip_hub_command import flip_hub
from flip_wire.contributions import Fate

MODULE = [sys.executable, "-m", "flip_demo", "--free-ports"]


class Result(msgspec.Struct):
    ok: bool
    rounds: int
    devices: int
    accuracy_global: float
    accuracy_served: list[float]
    setup_seconds: float
    run_seconds: float


async def finished(*arguments: str) -> tuple[int, str, str]:
    """Exit status, standard output, standard error."""
    process = await asyncio.create_subprocess_exec(
        *MODULE, *arguments, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    async with asyncio.timeout(600):
        out, err = await process.communicate()
    assert process.returncode is not None
    return process.returncode, out.decode(), err.decode()


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "seed" in metafunc.fixturenames:
        metafunc.parametrize("seed", [1, 2, 3] if metafunc.config.getoption("--long") else [1])


@pytest.mark.asyncio
async def test_every_device_serves_a_good_model_after_a_federated_run(folder: Path, seed: int) -> None:
    status, out, err = await finished("--check", "--root", str(folder), "--seed", str(seed))
    assert status == 0, out + err
    result = msgspec.json.decode(out.splitlines()[-1], type=Result)
    assert result.ok
    assert (result.rounds, result.devices) == (8, 3)
    assert len(result.accuracy_served) == 3
    assert min(result.accuracy_served) >= 0.90
    assert result.accuracy_global >= 0.85
    assert len(re.findall(r"^ +round +\d+/8 .*loss .*accuracy .*● east ● north ● south", err, re.MULTILINE)) == 8
    assert left_of(folder) == []


@pytest.mark.asyncio
async def test_ctrl_c_leaves_nothing_and_a_second_demo_finds_the_earlier_registry(folder: Path) -> None:
    process = await asyncio.create_subprocess_exec(
        *MODULE, "--root", str(folder), "--rounds", "2", stderr=asyncio.subprocess.PIPE
    )
    assert process.stderr
    said = ""
    async with asyncio.timeout(300):
        while "Ctrl-C" not in said:
            line = await process.stderr.readline()
            assert line, said
            said += line.decode()
    password = (folder / "admin-password").read_text().strip()
    assert f"admin  {password}" in said
    (url,) = re.findall(r"curl -s (http://127\.0\.0\.1:\d+/predict) --json @", said)
    async with httpx.AsyncClient() as client:
        answer = await client.post(url, content=(folder / "image.json").read_bytes())
    assert answer.json()["labels"][0] in "0123456789"
    await everything_can_be_traced(Layout(folder))
    await a_device_has_something_to_complain_of(Layout(folder))
    process.send_signal(signal.SIGINT)
    async with asyncio.timeout(60):
        assert await process.wait() == 0
    assert left_of(folder) == []

    _, out, err = await finished("--check", "--root", str(folder), "--rounds", "1")
    assert (folder / "admin-password").read_text().strip() == password
    assert "version 4 is the best" in err, out + err  # numbered after the versions of the first demo
    assert left_of(folder) == []


async def everything_can_be_traced(demo: Layout) -> None:
    """From the promoted version to the devices, and from each device's receipts to the chain that anybody can check."""
    chain, names = demo.root / "receipts", ("east", "north", "south")
    transport = httpx.AsyncHTTPTransport(uds=str(demo.hub / "admin.sock"))
    async with httpx.AsyncClient(transport=transport, base_url="http://hub") as hub:
        ((run,), (model,)) = [(await hub.get(f"/api/v1/{what}")).json() for what in ("runs", "models")]
        versions = f"/api/v1/models/{model['name']}/versions"
        lineage = msgspec.convert((await hub.get(f"{versions}/{model['promoted']}/lineage")).json(), Lineage)
        devices = {each["name"]: each["id"] for each in (await hub.get("/api/v1/devices")).json()}
        entries = msgspec.convert((await hub.get(f"/api/v1/runs/{run['id']}/receipts")).json(), list[ReceiptEntry])
    assert {each.device_id for each in lineage.contributors} == {devices[name] for name in names}
    written = await flip_hub(demo.root, "runs", "receipts", run["id"], "--out", str(chain), state=demo.hub)
    assert written.returncode == 0, written.stderr
    verified = await flip_hub(demo.root, "receipts", "verify", str(chain), state=demo.root / "nowhere")
    assert f"are whole: {len(entries)} entries, {len(entries)} signed by their devices" in verified.stdout
    for name in names:
        own = {each.message_id: each for each in entries if each.device_id == devices[name]}
        for receipt in await told(demo, name, len(own)):
            entry = own[receipt.message_id]
            assert entry.signed is not None
            said = entry.signed.statement
            assert (receipt.statement, receipt.samples) == (said.digest, said.samples)
            chained = (Fate.ACCEPTED, entry.seq, entry.hash, entry.weight)
            at_once = (Fate.ACCEPTED, 0, "", None)  # it asked between the checkpoint and its report
            assert (receipt.fate, receipt.entry, receipt.hash, receipt.weight) in (chained, at_once)
    trained = [each.weight for each in entries if each.phase == "train" and each.round == 1]
    assert sum(weight or 0.0 for weight in trained) == pytest.approx(1.0)


async def a_device_has_something_to_complain_of(demo: Layout) -> None:
    """One more version comes to all, and one device goes back from it."""
    options = ("examples/digits", "--config", "num-server-rounds=1", "--follow")
    started = await flip_hub(demo.root, "runs", "start", *options, state=demo.hub)
    assert "version 3 promoted" in started.stdout, started
    device = str(demo.device_config("north"))
    command = ("models", "rollback", "digits", "--reason", "worse", "--config", device)
    async with asyncio.timeout(60):
        while await flip_agent(*command) != 0:
            await asyncio.sleep(0.2)


async def flip_agent(*command: str) -> int:
    program = Path(sys.executable).with_name("flip-agent")
    process = await asyncio.create_subprocess_exec(program, *command, stderr=asyncio.subprocess.DEVNULL)
    return await process.wait()


async def told(demo: Layout, name: str, count: int) -> list[KeptReceipt]:
    """What `flip-agent receipts` says, once it knows what became of so many contributions."""
    command = [str(Path(sys.executable).with_name("flip-agent")), "receipts", "--json", "--config"]
    async with asyncio.timeout(60):
        while True:
            asked = await asyncio.create_subprocess_exec(
                *command, str(demo.device_config(name)), stdout=asyncio.subprocess.PIPE
            )
            receipts = msgspec.json.decode((await asked.communicate())[0], type=list[KeptReceipt])
            if len(receipts) == count and all(each.fate is not Fate.PENDING for each in receipts):
                return receipts
            await asyncio.sleep(0.2)


@pytest.mark.asyncio
async def test_a_folder_with_other_things_is_refused_and_left_alone(folder: Path) -> None:
    (folder / "thesis.txt").write_text("all my work")
    status, out, _ = await finished("--check", "--fresh", "--root", str(folder))
    assert status == 1
    assert "holds something else than a demo" in out
    assert [entry.name for entry in folder.iterdir()] == ["thesis.txt"]


@pytest.mark.asyncio
async def test_a_taken_port_and_a_running_demo_are_named_in_one_line(folder: Path) -> None:
    async def nobody(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    server = await asyncio.start_server(nobody, "127.0.0.1", 0)
    taken = server.sockets[0].getsockname()[1]
    code = f"""
import sys
from flip_demo import layout
layout.Ports.__init__.__kwdefaults__["hub"] = {taken}
from flip_demo.__main__ import main
sys.argv = ["demo", "--check", "--root", {str(folder)!r}]
sys.exit(main())
"""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", code, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    out, _ = await process.communicate()
    server.close()
    await server.wait_closed()
    assert process.returncode == 1
    assert f"port {taken} for the hub is taken" in out.decode()
