"""Whose apps run: signed by the command line, carried through the gateway, checked on the devices; and Flower's own
SuperNode beside our agents."""

import asyncio
import os
import shutil
import subprocess
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, closing
from pathlib import Path

import motor.motor_asyncio
import msgspec
import pytest

from federation import ended, flip_hub, follow, small_federation, start_run
from flip_demo.federation import Federation
from flip_demo.layout import Layout, Ports
from flip_demo.ports import free_port
from flip_hub.federation.schemas import RunDetail
from flip_runtime.child import Child

pytestmark = pytest.mark.asyncio

STOCK = Path(__file__).parents[1] / "apps" / "stock"


def reasons(detail: RunDetail) -> set[str]:
    return {failure.reason for each in detail.rounds for failure in each.failures}


async def test_devices_run_what_their_operators_key_has_signed_and_tell_the_hub_why_they_refuse_the_rest(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = _key(folder / "ada", "ed25519")
    public = key.with_suffix(".pub").read_text().strip()
    monkeypatch.setenv("FLIP_FEDERATION__TRUSTED_APP_KEYS", msgspec.json.encode([public]).decode())
    app = shutil.copytree(STOCK, folder / "app")
    federation = small_federation(folder)
    async with federation.running(lambda _: None):
        await _log_in(federation)
        # as the hub signs it: these devices do not trust the hub
        detail = await follow(federation, (await start_run(federation, app, num_server_rounds=1)).id, ended)
        assert [each.answered for each in detail.rounds] == [[]]
        assert len(detail.rounds[0].failures) == 2
        assert all("which this device does not trust" in reason for reason in reasons(detail))

        await flip_hub(folder, "apps", "keys", "add", str(key.with_suffix(".pub")), "--name", "ada")
        said = await flip_hub(folder, "apps", "sign", str(app), "--key", str(key))
        assert "is signed by key-" in said
        assert "this hub, ada" in await flip_hub(folder, "apps", "list")
        detail = await follow(federation, (await start_run(federation, app, num_server_rounds=1)).id, ended)
        assert (len(detail.rounds[0].answered), detail.rounds[0].failures) == (2, [])

        pyproject = (app / "pyproject.toml").read_text()
        (app / "pyproject.toml").write_text(pyproject.replace('"Stock-App"', '"Other-App"'))
        await flip_hub(folder, "apps", "sign", str(app), "--key", str(key))
        await _exchange_signatures(federation.ports.mongo)
        detail = await follow(federation, (await start_run(federation, app, num_server_rounds=1)).id, ended)
        assert len(detail.rounds[0].failures) == 2
        assert all("is not one over this app" in reason for reason in reasons(detail))


async def test_flowers_own_supernode_takes_part_beside_our_agent_and_asks_for_the_same_signatures(folder: Path) -> None:
    federation = Federation(Layout(folder), Ports.free(devices=1))
    async with federation.running(lambda _: None):
        await _log_in(federation)
        key = _key(folder / "node", "ecdsa", "-b", "384")
        said = await flip_hub(
            *(folder, "devices", "add", "stock", "--public-key", str(key.with_suffix(".pub")), "--folder", str(folder))
        )
        command = next(line for line in said.splitlines() if line.strip().startswith("flower-supernode"))
        assert "--trusted-entities" in command
        async with _supernode(folder, [*command.split()[1:-1], str(key)]):
            run = await start_run(federation, STOCK)
            detail = await follow(federation, run.id, ended)
        assert (detail.run.status, detail.run.reason) == ("finished", "")
        devices = {device.id: device.name for device in await asyncio.to_thread(federation.api.devices)}
        took_part = [sorted(devices[device] for device in each.answered) for each in detail.rounds]
        assert took_part == [["north", "stock"], ["north", "stock"]]
        assert reasons(detail) == set()


def _key(path: Path, kind: str, *options: str) -> Path:
    """As a person makes one."""
    subprocess.run(["ssh-keygen", "-q", "-t", kind, *options, "-N", "", "-C", "ada@desk", "-f", str(path)], check=True)
    return path


async def _log_in(federation: Federation) -> None:
    root = federation.layout.root
    password = ["--password-file", str(federation.layout.password)]
    await flip_hub(root, "login", federation.url, "--username", "admin", *password)


async def _exchange_signatures(port: int) -> None:
    """Each app gets those of the other, as somebody might who writes to the registry but has no key."""
    client: motor.motor_asyncio.AsyncIOMotorClient[dict[str, object]]
    with closing(client := motor.motor_asyncio.AsyncIOMotorClient(f"mongodb://127.0.0.1:{port}")):
        apps = client["flip"]["apps"]
        one, other = [document async for document in apps.find()]
        await apps.update_one({"_id": one["_id"]}, {"$set": {"signatures": other["signatures"]}})
        await apps.update_one({"_id": other["_id"]}, {"$set": {"signatures": one["signatures"]}})


@asynccontextmanager
async def _supernode(folder: Path, arguments: list[str]) -> AsyncGenerator[None]:
    programs = Path(sys.executable).parent
    command = [str(programs / "flower-supernode"), *arguments, "--port", str(free_port())]
    environment = {
        "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}",
        "FLWR_HOME": str(folder / "stock-home"),
        "FLWR_TELEMETRY_ENABLED": "0",
        "FLWR_DISABLE_UPDATE_CHECK": "1",
        "OMP_NUM_THREADS": "1",
    }
    child = Child("supernode", command, log_file=folder / "supernode.log", environment=environment)
    await child.start()
    try:
        yield
    finally:
        await child.stop()
