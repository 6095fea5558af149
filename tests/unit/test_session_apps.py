"""Apps on the device: unpacked whole or not at all, never outside their folder, and checked before they run."""

import hashlib
import io
import resource
import zipfile
from importlib import metadata
from pathlib import Path

import pytest

from flip_agent.federation.app_store import AppStore, missing
from flip_runtime.errors import Rejected, Unavailable
from signed_apps import TRUSTED, signed_fab

PYPROJECT = """
[project]
name = "app"
version = "1"
dependencies = [{dependencies}]

[tool.flwr.app]
publisher = "tests"

[tool.flwr.app.components]
serverapp = "app.server:app"
clientapp = "{clientapp}"
"""


def fab(files: dict[str, bytes] | None = None, *, clientapp: str = "app.client:app", dependencies: str = "") -> bytes:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as out:
        out.writestr("pyproject.toml", PYPROJECT.format(clientapp=clientapp, dependencies=dependencies))
        for name, content in (files or {}).items():
            out.writestr(name, content)
    return archive.getvalue()


def install(folder: Path, content: bytes) -> tuple[AppStore, str]:
    store = AppStore(folder / "apps", TRUSTED)
    fab_hash, signed = signed_fab(content)
    store.install(fab_hash, signed)
    return store, fab_hash


def test_an_app_is_unpacked_below_its_hash(folder: Path) -> None:
    store, fab_hash = install(folder, fab({"app/client.py": b"app = 1"}))
    app = store.app(fab_hash)
    assert app.clientapp == "app.client:app"
    assert app.folder == folder / "apps" / fab_hash
    assert (app.folder / "app" / "client.py").read_bytes() == b"app = 1"
    assert missing(app) == []


@pytest.mark.parametrize("name", ["../outside.py", "/outside.py", "app/../../outside.py", "..\\outside.py"])
def test_a_file_outside_the_apps_folder_is_refused(folder: Path, name: str) -> None:
    with pytest.raises(Rejected, match="outside its folder"):
        install(folder, fab({name: b""}))
    assert not list(folder.rglob("outside.py"))


def test_an_archive_that_unpacks_to_too_much_is_refused(folder: Path) -> None:
    with pytest.raises(Rejected, match="larger than 64 MiB"):
        install(folder, fab({"zeros": bytes(65 * 2**20)}))


def test_an_app_that_finds_no_room_waits_for_it_and_leaves_nothing_behind(folder: Path) -> None:
    store = AppStore(folder / "apps", TRUSTED)
    fab_hash, signed = signed_fab(fab({"large": bytes(2**16)}))
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2**12, hard))
    try:
        with pytest.raises(Unavailable, match="make room on the disk"):
            store.install(fab_hash, signed)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert list((folder / "apps").iterdir()) == []
    store.install(fab_hash, signed)
    assert store.holds(fab_hash)


def test_an_app_that_is_not_what_its_hash_says_is_refused(folder: Path) -> None:
    with pytest.raises(Rejected, match="has hash"):
        AppStore(folder / "apps", TRUSTED).install("0" * 64, signed_fab(fab())[1])


@pytest.mark.parametrize("fab_hash", ["", "../etc", "A" * 64])
def test_what_is_no_hash_names_no_folder(folder: Path, fab_hash: str) -> None:
    with pytest.raises(Rejected, match="no hash"):
        AppStore(folder / "apps", TRUSTED).app(fab_hash)


@pytest.mark.parametrize("content", [b"", b"no archive", fab()[:-30]])
def test_a_damaged_archive_is_refused(folder: Path, content: bytes) -> None:
    with pytest.raises(Rejected, match="no archive"):
        install(folder, content)


def test_an_unfinished_installation_is_started_over(folder: Path) -> None:
    content = fab({"app/client.py": b""})
    part = folder / "apps" / f".{hashlib.sha256(content).hexdigest()}.part"
    part.mkdir(parents=True)
    (part / "left.py").write_text("half")
    store, fab_hash = install(folder, content)
    assert not (store.app(fab_hash).folder / "left.py").exists()


def test_only_apps_in_use_are_kept(folder: Path) -> None:
    store, kept = install(folder, fab())
    gone, other = signed_fab(fab({"a": b""}))
    store.install(gone, other)
    store.keep_only({kept})
    assert (store.holds(kept), store.holds(gone)) == (True, False)


def test_what_is_missing_is_listed_one_by_one(folder: Path) -> None:
    numpy = metadata.version("numpy")
    dependencies = (
        "'numpy>=1', 'numpy<1', 'no-such-package', 'absent; python_version < \"3\"', 'flwr[simulation]>=1.41'"
    )
    store, fab_hash = install(folder, fab(clientapp="no_such_module.client:app", dependencies=dependencies))
    assert missing(store.app(fab_hash)) == [
        f"numpy<1 (installed: {numpy})",
        "no-such-package (not installed)",
        "module no_such_module.client of the ClientApp, which is neither in the app nor installed",
    ]


def test_a_client_app_may_be_an_installed_one(folder: Path) -> None:
    store, fab_hash = install(folder, fab(clientapp="flip_agent.federation.client_app:app"))
    assert missing(store.app(fab_hash)) == []


@pytest.mark.parametrize("text", ["", "not toml [", "[tool.flwr.app.components]\nserverapp = 'x'"])
def test_an_app_without_a_client_app_is_refused(folder: Path, text: str) -> None:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as out:
        out.writestr("pyproject.toml", text)
    store, fab_hash = install(folder, archive.getvalue())
    with pytest.raises(Rejected, match=r"pyproject\.toml"):
        store.app(fab_hash)
