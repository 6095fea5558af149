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
    process.send_signal(signal.SIGINT)
    async with asyncio.timeout(60):
        assert await process.wait() == 0
    assert left_of(folder) == []

    _, out, err = await finished("--check", "--root", str(folder), "--rounds", "1")
    assert (folder / "admin-password").read_text().strip() == password
    assert "version 3 is the best" in err, out + err  # numbered after the two versions of the first demo
    assert left_of(folder) == []


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
