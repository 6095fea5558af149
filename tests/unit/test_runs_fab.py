"""Apps are built from folders, and read from uploads that may be anything."""

import zipfile
from io import BytesIO
from pathlib import Path

import pytest

from flip_hub.federation.fab import FAB_LIMIT, build_fab, read_app
from flip_runtime.errors import ConfigError, Rejected

PYPROJECT = """
[project]
name = "tiny"
version = "1.2.0"
license = { file = "LICENSE" }
dependencies = ["flwr>=1.29.0"]

[tool.flip]
export = "tiny.export:export"
task = "tiny.task"

[tool.flwr.app]
publisher = "someone"
fab-format-version = 1
flwr-version-target = "1.29.0"

[tool.flwr.app.components]
serverapp = "tiny.app:server"
clientapp = "tiny.app:client"

[tool.flwr.app.config]
num-server-rounds = 3
rate = 0.1

[tool.flwr.app.config.model]
name = "cnn"
"""


def app_folder(folder: Path, pyproject: str = PYPROJECT) -> Path:
    app = folder / "tiny"
    (app / "tiny").mkdir(parents=True)
    (app / "pyproject.toml").write_text(pyproject)
    (app / "LICENSE").write_text("free")
    (app / "tiny" / "__init__.py").write_text("")
    (app / "tiny" / "app.py").write_text("server = client = None\n")
    (app / "tiny" / "export.py").write_text("def export(): ...\n")
    (app / "tiny" / "task.py").write_text("")
    return app


def archive(files: dict[str, str | bytes]) -> bytes:
    content = BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as file:
        for name, text in files.items():
            file.writestr(name, text)
    return content.getvalue()


def test_an_app_is_built_and_read_back(folder: Path) -> None:
    content = build_fab(app_folder(folder))
    app = read_app(content)
    assert (app.publisher, app.name, app.version, app.size) == ("someone", "tiny", "1.2.0", len(content))
    assert app.config == {"num-server-rounds": 3, "rate": 0.1, "model.name": "cnn"}
    assert app.export == "tiny.export:export"
    assert build_fab(folder / "tiny") == content


def test_an_app_need_not_know_of_flip(folder: Path) -> None:
    stock = PYPROJECT.replace('[tool.flip]\nexport = "tiny.export:export"\ntask = "tiny.task"\n', "")
    assert read_app(build_fab(app_folder(folder, stock))).export is None


def test_a_folder_without_an_app_is_named(folder: Path) -> None:
    with pytest.raises(ConfigError, match=f"no Flower app in {folder}"):
        build_fab(folder)


@pytest.mark.parametrize(
    ("line", "instead", "problem"),
    [
        ('publisher = "someone"', "", "publisher"),
        ('clientapp = "tiny.app:client"', "", "clientapp"),
        ('version = "1.2.0"', "", "version"),
        ("rate = 0.1", "rate = [1, 2]", "rate"),
        ("[project]", "[project", "pyproject.toml"),
        ('"tiny.export:export"', '"tiny/export.py"', "export"),
        ("export =", "exports =", "exports"),
        ('publisher = "someone"', 'publisher = "../../etc"', "publisher"),
        ("num-server-rounds = 3", "num-server-rounds = 99999999999999999999", "num-server-rounds"),
    ],
)
def test_what_is_wrong_with_an_app_is_named_with_its_file(folder: Path, line: str, instead: str, problem: str) -> None:
    assert line in PYPROJECT
    with pytest.raises(ConfigError) as refused:
        build_fab(app_folder(folder, PYPROJECT.replace(line, instead)))
    assert problem in str(refused.value)
    assert str(folder) in str(refused.value)
    with pytest.raises(Rejected, match=problem):
        read_app(archive({"pyproject.toml": PYPROJECT.replace(line, instead)}))


@pytest.mark.parametrize("name", ["../outside.py", "/etc/passwd", "tiny/../../x", "..\\outside.py"])
def test_a_name_that_leads_out_of_the_folder_is_refused(name: str) -> None:
    with pytest.raises(Rejected, match="leads out of its folder"):
        read_app(archive({"pyproject.toml": PYPROJECT, name: "x"}))


def test_a_link_is_refused() -> None:
    content = BytesIO()
    with zipfile.ZipFile(content, "w") as file:
        file.writestr("pyproject.toml", PYPROJECT)
        link = zipfile.ZipInfo("tiny/data")
        link.external_attr = 0o120777 << 16
        file.writestr(link, "/etc")
    with pytest.raises(Rejected, match="leads out of its folder"):
        read_app(content.getvalue())


def test_a_small_file_that_unpacks_to_a_large_one_is_refused() -> None:
    bomb = archive({"pyproject.toml": PYPROJECT, "zeros.py": bytes(300 * 2**20)})
    assert len(bomb) < FAB_LIMIT
    with pytest.raises(Rejected, match="unpacks to"):
        read_app(bomb)


def test_a_large_pyproject_is_not_read() -> None:
    with pytest.raises(Rejected, match="more than"):
        read_app(archive({"pyproject.toml": "#" * (2**20 + 1)}))


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 nonsense", b"x" * 1000, archive({"other.txt": "x"})])
def test_anything_else_is_no_app(content: bytes) -> None:
    with pytest.raises(Rejected):
        read_app(content)


def test_a_damaged_archive_is_refused() -> None:
    content = bytearray(archive({"pyproject.toml": PYPROJECT}))
    content[60] ^= 0xFF
    with pytest.raises(Rejected):
        read_app(bytes(content))


def test_an_app_larger_than_flower_takes_is_refused_with_the_limit() -> None:
    with pytest.raises(Rejected, match="at most 10,485,760"):
        read_app(bytes(FAB_LIMIT + 1))
