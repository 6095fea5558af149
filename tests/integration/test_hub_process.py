"""`flip-hub` as people and service managers meet it: real processes, exit statuses, signals."""

import asyncio
import secrets
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import msgspec
import psutil
import pytest

from configuration import toml_of
from core_hub import SPOKEN, TestDevice, log_batch, new_device
from flip_demo.ports import free_port
from flip_hub.client import HubApi
from flip_hub.credentials import make_credentials
from flip_hub.founding import found_hub
from flip_hub.mongo import Mongo
from flip_hub.registry.migrations import MIGRATIONS, version_of
from flip_hub.settings import ControlSection, FleetSection, HubSection, MongoSection, Settings, SuperlinkSection
from flip_runtime.child import Child
from flip_wire.fleet import EnrolRequest

FLIP_HUB = str(Path(sys.executable).with_name("flip-hub"))
CONFIGURATION = 78


def _settings(folder: Path, mongo_url: str) -> Settings:
    return Settings(
        hub=HubSection(state=folder / "hub", port=free_port(), tls=False),
        mongo=MongoSection(url=mongo_url, database=f"test_{secrets.token_hex(6)}"),
        fleet=FleetSection(port=free_port()),
        superlink=SuperlinkSection(port=free_port()),
        control=ControlSection(port=free_port()),
    )


def _write(folder: Path, settings: Settings) -> Path:
    path = folder / "hub.toml"
    path.write_text(toml_of(settings))
    return path


def _run(*arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": "/usr/bin:/bin", "XDG_CONFIG_HOME": str(folder / "config"), "HOME": str(folder)}
    return subprocess.run([FLIP_HUB, *arguments], capture_output=True, text=True, timeout=60, env=environment)


def _one_line(ended: subprocess.CompletedProcess[str], status: int) -> str:
    assert ended.returncode == status, ended.stderr
    (line,) = [line for line in ended.stderr.splitlines() if line.startswith("flip-hub: ")]
    assert "Traceback" not in ended.stderr
    return line


@asynccontextmanager
async def _served(config: Path, url: str, folder: Path) -> AsyncGenerator[Child]:
    """A hub that takes telemetry; whether its SuperLink is up does not matter here."""

    async def answers() -> bool:
        try:
            async with httpx.AsyncClient(trust_env=False) as http:
                return "mongo" not in (await http.get(f"{url}/health/ready")).json()["missing"]
        except httpx.TransportError:
            return False

    hub = Child("hub", [FLIP_HUB, "serve", "--config", str(config)], log_file=folder / "hub.log")
    await hub.start()
    try:
        await hub.wait_until(answers, within=60)
        yield hub
    finally:
        await hub.stop()


def test_an_unknown_configuration_key_is_named(folder: Path) -> None:
    (folder / "hub.toml").write_text("[hub]\nprot = 8000\n")
    line = _one_line(_run("serve", "--config", str(folder / "hub.toml"), folder=folder), CONFIGURATION)
    assert "prot" in line
    assert "hub.toml" in line


def test_a_hub_that_was_never_initialised_says_how(folder: Path) -> None:
    (folder / "hub.toml").write_text(f'[hub]\nstate = "{folder / "hub"}"\n')
    line = _one_line(_run("serve", "--config", str(folder / "hub.toml"), folder=folder), CONFIGURATION)
    assert "flip-hub init" in line


def test_mongodb_that_is_away_is_named_by_init_which_can_be_run_again(folder: Path) -> None:
    server = f"127.0.0.1:{free_port()}"
    config = _write(folder, _settings(folder, f"mongodb://me:secret@{server}"))
    line = _one_line(_run("init", "--config", str(config), folder=folder), 1)
    assert f"not reachable at {server} " in line
    assert "mongo.url" in line


@pytest.mark.parametrize("taken", ["hub", "fleet"])
def test_a_port_that_is_taken_is_named_with_its_setting(taken: str, folder: Path, mongo_url: str) -> None:
    settings = _settings(folder, mongo_url)
    make_credentials(settings)
    config = _write(folder, settings)
    port = settings.hub.port if taken == "hub" else settings.fleet.port
    with socket.create_server(("127.0.0.1", port)):
        line = _one_line(_run("serve", "--config", str(config), folder=folder), CONFIGURATION)
    assert str(port) in line
    assert f"{taken}.port" in line


@pytest.mark.asyncio
async def test_a_registry_that_a_newer_hub_has_made_is_left_as_it_is(folder: Path, mongo_url: str) -> None:
    settings = _settings(folder, mongo_url)
    make_credentials(settings)
    config, mongo = _write(folder, settings), Mongo(settings.mongo)
    newer = {"_id": "schema", "version": version_of(MIGRATIONS) + 1}
    try:
        await mongo.database["registry"].insert_one(newer)
        ended = await asyncio.to_thread(_run, "serve", "--config", str(config), folder=folder)
        line = _one_line(ended, CONFIGURATION)
        assert f"schema version {newer['version']}" in line
        assert "flip-hub restore" in line
        assert await mongo.database.list_collection_names() == ["registry"]
        assert await mongo.database["registry"].find_one() == newer
    finally:
        await mongo.database.client.drop_database(settings.mongo.database)
        mongo.close()


def test_commands_without_a_login_or_a_hub_say_what_to_do(folder: Path) -> None:
    assert "flip-hub login" in _one_line(_run("devices", "list", folder=folder), 1)
    (folder / "password").write_text("secret\n")
    url = f"http://127.0.0.1:{free_port()}"
    options = ["login", url, "--username", "ada", "--password-file", str(folder / "password")]
    assert "flip-hub serve" in _one_line(_run(*options, folder=folder), 1)


@pytest.mark.asyncio
async def test_a_kill_loses_nothing_that_was_acknowledged(folder: Path, mongo_url: str) -> None:
    """And SIGTERM ends the hub with all its children, well within ten seconds."""
    settings = _settings(folder, mongo_url)
    config, url = _write(folder, settings), f"http://127.0.0.1:{settings.hub.port}"
    await asyncio.to_thread(found_hub, settings, "ada", folder / "password")
    async with _served(config, url, folder) as hub:
        api, device = await asyncio.to_thread(_set_up, url, folder)
        acknowledged = await _send_until_killed(url, device, hub)
    assert acknowledged > 0
    async with _served(config, url, folder) as hub:
        there = {path.name for path in settings.hub.state.iterdir()}
        second = await asyncio.to_thread(_run, "serve", "--config", str(config), folder=folder)
        assert f"another flip-hub serve uses {settings.hub.state}" in _one_line(second, CONFIGURATION)
        assert there <= {path.name for path in settings.hub.state.iterdir()}, "the one that runs keeps all it has"
        assert "admin.sock" in there
        stored = await asyncio.to_thread(api.events, device.id, 1000)
        assert {event.seq for event in stored} >= set(range(acknowledged + 1))

        async with httpx.AsyncClient(base_url=url, headers=device.headers, trust_env=False) as http:
            # as a device does: what was not acknowledged is sent again, whether or not it had arrived
            again = await http.post("/api/v1/device/telemetry", content=_batch(acknowledged + 1, acknowledged + 5))
            assert again.status_code == 200
        shown = await asyncio.to_thread(api.device, device.id)
        assert shown.events_accepted == acknowledged + 6
        assert len(await asyncio.to_thread(api.events, device.id, 1000)) == acknowledged + 6
        await _stops_cleanly(hub)
    api.close()


def _set_up(url: str, folder: Path) -> tuple[HubApi, TestDevice]:
    password = (folder / "password").read_text().strip()
    options = ["login", url, "--username", "ada", "--password-file", str(folder / "password")]
    assert _run(*options, folder=folder).returncode == 0
    made = _run("enrolment-tokens", "create", "--json", folder=folder)
    token = msgspec.json.decode(made.stdout)["token"]
    device = new_device()
    request = EnrolRequest(token=token, name="north", public_key=device.public_key, agent_version="0.1.0")
    with httpx.Client(base_url=url, trust_env=False, headers=SPOKEN) as http:
        enrolled = http.post("/api/v1/enrol", content=msgspec.json.encode(request)).json()
        device = TestDevice(device.key, enrolled["device_id"])
        bearer = http.post("/api/v1/device/token", content=msgspec.json.encode(device.assertion())).json()["token"]
    assert "north" in _run("devices", "list", folder=folder).stdout
    return HubApi.logged_in(url, "ada", password), TestDevice(device.key, device.id, bearer)


def _batch(first: int, last: int) -> bytes:
    return msgspec.json.encode(log_batch(range(first, last + 1)))


async def _send_until_killed(url: str, device: TestDevice, hub: Child) -> int:
    """The last sequence number that was acknowledged; the kill falls between two batches or into one."""
    assert hub.pid is not None
    acknowledged = -1
    async with httpx.AsyncClient(base_url=url, headers=device.headers, trust_env=False) as http:
        for number in range(100):
            if number == 10:
                asyncio.get_running_loop().call_later(0.003, psutil.Process(hub.pid).kill)
            try:
                first = acknowledged + 1
                answer = await http.post("/api/v1/device/telemetry", content=_batch(first, first + 4))
            except httpx.TransportError:
                break
            assert answer.status_code == 200, answer.text
            acknowledged = answer.json()["up_to"]
    return acknowledged


async def _stops_cleanly(hub: Child) -> None:
    assert hub.pid is not None
    process = psutil.Process(hub.pid)
    family = process.children(recursive=True)
    process.send_signal(signal.SIGTERM)
    async with asyncio.timeout(10):
        assert await hub.wait() == 0
        while any(child.is_running() for child in family):
            await asyncio.sleep(0.05)
