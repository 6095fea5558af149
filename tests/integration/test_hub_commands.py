"""`flip-hub` on the hub's own machine needs no login; elsewhere it keeps and renews one, and forgets it on log-out."""

import asyncio
import contextlib
import os
import shutil
import socket
import subprocess
import time
from collections.abc import AsyncGenerator
from pathlib import Path

import msgspec
import pytest
import pytest_asyncio

from core_hub import CoreHub, running_core
from flip_hub_command import flip_hub

PASSWORD = "correct horse battery"


class Typed:
    """Commands typed at one machine."""

    def __init__(self, hub: CoreHub, folder: Path, *, there: bool) -> None:
        self._folder = folder
        self._state = hub.settings.hub.state if there else None

    async def __call__(self, *arguments: str, fails: bool = False) -> str:
        ran = await flip_hub(self._folder, *arguments, state=self._state)
        assert (ran.returncode != 0) is fails, ran.stderr
        assert "Traceback" not in ran.stderr
        return ran.stderr if fails else ran.stdout


@pytest_asyncio.fixture
async def hub(folder: Path, mongo_url: str) -> AsyncGenerator[CoreHub]:
    (folder / "password").write_text(PASSWORD)
    async with running_core(folder, mongo_url, people=False) as hub:
        yield hub


@pytest.mark.asyncio
async def test_accounts_are_managed_on_the_hubs_machine_and_an_admin_always_remains(hub: CoreHub, folder: Path) -> None:
    typed = Typed(hub, folder, there=True)
    given = ("--password-file", str(folder / "password"))
    assert "ada is an admin" in await typed("users", "add", "ada", "--role", "admin", *given)
    login = await hub.post("/api/v1/auth/login", {"username": "ada", "password": PASSWORD})
    assert "last admin" in await typed("users", "role", "ada", "viewer", fails=True)
    assert "last admin" in await typed("users", "disable", "ada", fails=True)
    assert "last admin" in await typed("users", "remove", "ada", fails=True)
    bearer = {"Authorization": f"Bearer {login.json()['token']}"}
    assert (await hub.http.get("/api/v1/auth/me", headers=bearer)).status_code == 200, "nothing happened to the session"
    assert "--password-file" in await typed("users", "add", "viv", fails=True), "nobody sits at a terminal"
    assert "--everything" in await typed("alerts", "silence", "all of it", fails=True)
    assert "--hours -1" in await typed("alerts", "silence", "late", "--everything", "--hours", "-1", fails=True)
    await typed("users", "add", "eve", *given)
    assert "exists" in await typed("users", "add", "eve", *given, fails=True)
    await typed("users", "role", "eve", "admin")
    await typed("users", "role", "ada", "operator")
    await typed("users", "password", "ada", *given)
    listed = msgspec.json.decode(await typed("users", "list", "--json"))
    assert [(each["username"], each["role"]) for each in listed] == [("ada", "operator"), ("eve", "admin")]
    await typed("users", "remove", "ada")
    assert "ada" not in await typed("users", "list")


@pytest.mark.asyncio
async def test_a_login_is_kept_renewed_by_itself_and_forgotten_on_log_out(hub: CoreHub, folder: Path) -> None:
    typed = Typed(hub, folder, there=False)
    given = ("--password-file", str(folder / "password"))
    assert "not logged in" in await typed("users", "list", fails=True)
    await Typed(hub, folder, there=True)("users", "add", "ada", "--role", "operator", *given)
    await typed("login", hub.url, "--username", "ada", *given)
    kept = folder / "config" / "flip" / "session.json"
    assert kept.stat().st_mode & 0o777 == 0o600
    assert PASSWORD not in kept.read_text()

    stale = msgspec.json.decode(kept.read_bytes())
    stale["session"]["expires_at"] = time.time() + 1  # within the time in which commands renew
    kept.write_bytes(msgspec.json.encode(stale))
    both = await asyncio.gather(*(typed("sessions", "list", "--json") for _ in range(2)))
    assert [len(msgspec.json.decode(each)) for each in both] == [1, 1]
    renewed = msgspec.json.decode(kept.read_bytes())
    assert renewed["session"]["refresh_token"] != stale["session"]["refresh_token"]

    assert "users:manage" in await typed("users", "list", fails=True)
    assert "logged out" in await typed("logout")
    assert not kept.exists()
    assert "not logged in" in await typed("sessions", "list", fails=True)


@pytest.mark.asyncio
async def test_a_private_key_stays_here_and_no_file_is_overwritten(hub: CoreHub, folder: Path) -> None:
    typed, keys = Typed(hub, folder, there=True), folder / "keys"
    keys.mkdir()
    made = ["ssh-keygen", "-q", "-N", "", "-t", "ecdsa", "-b", "384", "-f", str(keys / "node")]
    await asyncio.to_thread(subprocess.run, made, check=True, timeout=60)
    assert "never leaves its owner" in await typed("apps", "keys", "add", str(keys / "node"), fails=True)
    (keys / "ca.pem").write_text("my own")
    add = ("devices", "add", "stock", "--public-key", str(keys / "node.pub"), "--folder")
    assert "ca.pem is there already" in await typed(*add, str(keys), fails=True)
    assert (keys / "ca.pem").read_text() == "my own"
    assert "stock" not in await typed("devices", "list")


@pytest.mark.asyncio
async def test_the_socket_is_for_root_and_the_hubs_user_alone(hub: CoreHub, folder: Path) -> None:
    path = hub.settings.hub.admin_socket
    assert path.stat().st_mode & 0o777 == 0o600
    python = shutil.which("python3", path="/usr/bin:/bin")  # one that anybody may run
    if os.geteuid() != 0 or python is None:
        pytest.skip("only root can try as somebody else")
    for opened in (folder, path.parent):
        opened.chmod(0o755)
    path.chmod(0o666)  # as a careless admin might do: the kernel still says who it is
    asked = [python, "-c", _ASK, str(path)]
    root, nobody = await asyncio.gather(
        *(
            asyncio.to_thread(subprocess.run, asked, capture_output=True, text=True, timeout=60, user=user, check=False)
            for user in (0, 65534)
        )
    )
    assert '"username":"local:0"' in root.stdout, root.stderr
    assert nobody.stdout.strip() == "hung up", nobody.stderr


@pytest.mark.asyncio
async def test_a_socket_left_by_a_killed_hub_is_no_hub(hub: CoreHub, folder: Path) -> None:
    left = folder / "left"
    left.mkdir()
    with contextlib.closing(socket.socket(socket.AF_UNIX)) as dead:
        dead.bind(str(left / "admin.sock"))
    ran = await flip_hub(folder, "users", "list", state=left)
    assert ran.returncode == 1
    assert f"the hub on this machine does not answer ({left / 'admin.sock'}) (start it: flip-hub serve" in ran.stderr


@pytest.mark.asyncio
async def test_the_hub_that_the_environment_names_is_asked_and_no_other_whatever_login_was_kept(
    hub: CoreHub, folder: Path
) -> None:
    here, given = Typed(hub, folder, there=True), ("--password-file", str(folder / "password"))
    await here("users", "add", "ada", *given)
    assert "until you unset it" in await here("login", hub.url, "--username", "ada", *given)
    assert "ada" in await here("users", "list"), "the socket's role, not that of ada's login"
    ran = await flip_hub(folder, "users", "list", state=folder / "stopped")
    assert ran.returncode == 1
    assert f"no hub answers at {folder / 'stopped' / 'admin.sock'}" in ran.stderr
    assert f"the hub of your login, {hub.url}, unset FLIP_HUB__STATE" in ran.stderr
    assert "logged out" in await here("logout")


_ASK = """
import http.client, socket, sys
connection = http.client.HTTPConnection("localhost")
connection.sock = socket.socket(socket.AF_UNIX)
try:
    connection.sock.connect(sys.argv[1])
    connection.request("GET", "/api/v1/auth/me")
    print(connection.getresponse().read().decode())
except (http.client.RemoteDisconnected, ConnectionError):
    print("hung up")
"""
