"""The hub hands out packages: whole, in parts, unchanged ones not at all, and nothing that is no package."""

import asyncio
import hashlib
import subprocess
from collections.abc import AsyncGenerator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
import pytest_asyncio

from core_hub import CoreHub, problem, running_core
from flip_hub.packages.repository import Repository
from flip_hub.settings import UpdatesSection
from flip_runtime.errors import ConfigError

KEY = "-----BEGIN PGP PUBLIC KEY BLOCK-----\n\nmDMEZ\n-----END PGP PUBLIC KEY BLOCK-----\n"
PACKAGE = bytes(range(256)) * 2048


def repository_in(folder: Path) -> Path:
    public = folder / "public"
    (public / "pool").mkdir(parents=True)
    (public / "flip-archive-keyring.asc").write_text(KEY)
    (public / "pool" / "a.deb").write_bytes(PACKAGE)
    (folder / "secret").write_text("not for you")
    (public / "way-out").symlink_to(folder / "secret")
    return public


def shell(*words: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["sh", *words], capture_output=True, text=True, check=False)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def hub(mongo_url: str) -> AsyncGenerator[CoreHub]:
    with TemporaryDirectory(prefix="flip-") as folder:
        updates = UpdatesSection(repository=repository_in(Path(folder)))
        async with running_core(Path(folder), mongo_url, updates=updates) as hub:
            yield hub


pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_a_package_comes_whole_without_a_login(hub: CoreHub) -> None:
    answer = await hub.http.get("/apt/pool/a.deb")
    assert (answer.status_code, answer.content) == (200, PACKAGE)
    assert answer.headers["content-length"] == str(len(PACKAGE))
    head = await hub.http.head("/apt/pool/a.deb")
    assert (head.status_code, head.content) == (200, b"")


async def test_a_download_goes_on_where_it_was_cut(hub: CoreHub) -> None:
    changed = (await hub.http.head("/apt/pool/a.deb")).headers["last-modified"]
    rest = await hub.http.get("/apt/pool/a.deb", headers={"Range": "bytes=1000-", "If-Range": changed})
    assert (rest.status_code, rest.content) == (206, PACKAGE[1000:])
    other = {"Range": "bytes=1000-", "If-Range": "Sat, 01 Jan 2000 00:00:00 GMT"}
    assert (await hub.http.get("/apt/pool/a.deb", headers=other)).content == PACKAGE
    beyond = await hub.http.get("/apt/pool/a.deb", headers={"Range": f"bytes={len(PACKAGE)}-"})
    assert problem(beyond, 416).detail == f"the file has {len(PACKAGE)} bytes"


async def test_what_has_not_changed_is_not_sent_again(hub: CoreHub) -> None:
    changed = (await hub.http.head("/apt/pool/a.deb")).headers["last-modified"]
    again = await hub.http.get("/apt/pool/a.deb", headers={"If-Modified-Since": changed})
    assert (again.status_code, again.content) == (304, b"")


@pytest.mark.parametrize(
    "path", ["pool", "nothing", "way-out", "..%2Fsecret", "pool/..%2f..%2fsecret", "%00", "a" * 5000]
)
async def test_nothing_else_is_handed_out(hub: CoreHub, path: str) -> None:
    answer = await hub.http.get(f"/apt/{path}")
    assert answer.status_code in (400, 404)
    assert "not for you" not in answer.text


async def test_the_script_is_sound_carries_the_key_and_has_the_hash_that_is_shown(hub: CoreHub, tmp_path: Path) -> None:
    script = (await hub.http.get("/install.sh")).text
    assert KEY.strip() in script
    made = await hub.post("/api/v1/enrolment-tokens", {}, hub.as_user())
    assert made.json()["install_sha256"] == hashlib.sha256(script.encode()).hexdigest()
    (tmp_path / "install.sh").write_text(script)
    assert (await asyncio.to_thread(shell, "-n", tmp_path / "install.sh")).returncode == 0


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ([], "--hub is missing"),
        (["--hub"], "--hub needs a value"),
        (["--hub", "http://hub.example:8000"], "is reached by https"),
        (["--hub", "http://127.0.0.1:8000", "--ca-sha256", "ab"], "begins with https://"),
        (["--what", "x"], "no option --what"),
    ],
)
async def test_the_script_refuses_what_it_does_not_understand(
    hub: CoreHub, tmp_path: Path, options: list[str], complaint: str
) -> None:
    (tmp_path / "install.sh").write_text((await hub.http.get("/install.sh")).text)
    done = await asyncio.to_thread(shell, tmp_path / "install.sh", *options)
    assert done.returncode == 1
    assert complaint in done.stderr


async def test_a_hub_without_packages_says_so(mongo_url: str) -> None:
    with TemporaryDirectory(prefix="flip-") as folder:
        async with running_core(Path(folder), mongo_url) as hub:
            assert "updates.repository" in problem(await hub.http.get("/install.sh"), 404).hint
            problem(await hub.http.get("/apt/pool/a.deb"), 404)
            made = await hub.post("/api/v1/enrolment-tokens", {}, hub.as_user())
            assert made.json()["install_sha256"] == ""


async def test_a_folder_that_is_no_repository_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"updates\.repository .* is no repository"):
        Repository(tmp_path)
