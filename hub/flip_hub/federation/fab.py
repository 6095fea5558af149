"""A Flower app as one file (FAB, a zip): built from a folder, or read without unpacking or running any of it.

`read_app` reads what somebody uploaded: bounded in size, in number of files and in what they unpack to, and refused
when a name in it leads out of the folder it will be unpacked to.
"""

import hashlib
import re
import time
import tomllib
import zipfile
import zlib
from io import BytesIO
from pathlib import Path, PurePosixPath
from typing import Any

import msgspec
from flwr.common.config import flatten_dict, validate_config
from flwr.common.constant import FAB_CONFIG_FILE, FAB_MAX_SIZE
from msgspec import Struct

from flip_hub.apps.schemas import App
from flip_hub.federation.app_source import AppSource
from flip_hub.federation.schemas import Value
from flip_runtime.errors import ConfigError, Rejected
from flip_wire.models import Sha256

FAB_LIMIT = FAB_MAX_SIZE
"""Bytes: the SuperLink takes no larger app (10 MiB in Flower 1.41)."""
_UNPACKED_LIMIT = 256 * 2**20
_FILES_LIMIT = 10_000
_PYPROJECT_LIMIT = 2**20

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,99}")
_ENTRY_POINT = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*")
_UNREADABLE = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError)
"""What reading a damaged or unknown zip raises."""
_INT64 = range(-(2**63), 2**63)


class _Project(Struct, frozen=True):
    name: str
    version: str


class _Components(Struct, frozen=True):
    serverapp: str
    clientapp: str


class _FlowerApp(Struct, frozen=True):
    publisher: str
    components: _Components
    config: dict[str, Any] = {}


class _Flower(Struct, frozen=True):
    app: _FlowerApp


class _Flip(Struct, frozen=True, forbid_unknown_fields=True):
    export: str | None = None
    task: str | None = None
    lab: str | None = None
    """Read on the devices, by the ClientApp that ships with FLIP."""
    evaluate: str | None = None
    """Read in the ServerApp's process (`aggregator.evaluation`)."""


class _Tool(Struct, frozen=True):
    flwr: _Flower
    flip: _Flip = _Flip()


class _PyProject(Struct, frozen=True):
    """What we need of an app's `pyproject.toml`; Flower needs no more."""

    project: _Project
    tool: _Tool


def build_fab(folder: Path) -> bytes:
    """Packs the app in `folder` as `flwr build` does; the same folder gives the same bytes.

    Raises `ConfigError` that names the file, and the field in it, when Flower would not take the app.
    """
    # here, because it brings typer and rich: only the command line builds, the hub only reads
    from flwr.cli.build import build_fab_from_disk
    from flwr.cli.utils import AppPathDepthError

    pyproject = folder / FAB_CONFIG_FILE
    if not pyproject.is_file():
        raise ConfigError(f"no Flower app in {folder}: it has no {FAB_CONFIG_FILE}", hint="name the app's folder")
    try:
        content = build_fab_from_disk(folder)
    except (ValueError, AppPathDepthError, AttributeError, TypeError) as error:  # the last two: a field of odd type
        raise ConfigError(f"{pyproject}: {' '.join(str(error).split())}", hint="correct that file") from error
    except OSError as error:
        raise ConfigError(f"cannot read {error.filename or folder}: {error.strerror}") from error
    try:
        read_app(content)
    except Rejected as error:
        raise ConfigError(f"{folder}: {error.args[0]}", hint=error.hint) from error
    return content


def read_app(content: bytes, *, here: bool = False) -> App:
    """`here`: its ServerApp will run in this environment. Raises `Rejected` that says what is wrong with the file, and
    with which field of its `pyproject.toml`."""
    if len(content) > FAB_LIMIT:
        raise Rejected(
            f"the app has {len(content):,} bytes, Flower takes at most {FAB_LIMIT:,}",
            hint="leave data and weights out: fab-exclude in [tool.flwr.app]",
        )
    pyproject, config = _checked(_read_pyproject(content))
    _check_source(AppSource(content), pyproject.tool, here)
    return App(
        fab_hash=Sha256(hashlib.sha256(content).hexdigest()),
        publisher=pyproject.tool.flwr.app.publisher,
        name=pyproject.project.name,
        version=pyproject.project.version,
        size=len(content),
        config=config,
        export=pyproject.tool.flip.export,
        uploaded_at=time.time(),
    )


def _read_pyproject(content: bytes) -> dict[str, Any]:
    try:
        with zipfile.ZipFile(BytesIO(content)) as archive:
            _refuse_tricks(archive.infolist())
            with archive.open(FAB_CONFIG_FILE) as file:
                text = file.read(_PYPROJECT_LIMIT + 1)
    except KeyError as error:
        raise Rejected(f"the app has no {FAB_CONFIG_FILE}", hint="upload what `flwr build` makes") from error
    except _UNREADABLE as error:
        raise Rejected(f"this is no FAB: {error}", hint="upload what `flwr build` makes") from error
    if len(text) > _PYPROJECT_LIMIT:
        raise Rejected(f"{FAB_CONFIG_FILE} has more than {_PYPROJECT_LIMIT:,} bytes")
    try:
        return tomllib.loads(text.decode())
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise Rejected(f"{FAB_CONFIG_FILE} is no TOML: {error}") from error


def _check_source(source: AppSource, tool: _Tool, here: bool) -> None:
    components, flip = tool.flwr.app.components, msgspec.structs.asdict(tool.flip)
    parts = {f"[tool.flwr.app.components] {name}": named for name, named in msgspec.structs.asdict(components).items()}
    modules = {f"[tool.flip] {name}": named for name, named in flip.items() if named is not None}
    try:
        source.check_named(parts | modules)
        if here:
            source.check_imports("[tool.flwr.app.components] serverapp", components.serverapp)
    except Rejected as error:
        raise Rejected(f"{FAB_CONFIG_FILE}: {error.args[0]}", hint=error.hint) from error
    except _UNREADABLE as error:
        raise Rejected(f"this is no FAB: {error}", hint="upload what `flwr build` makes") from error


def _refuse_tricks(entries: list[zipfile.ZipInfo]) -> None:
    if len(entries) > _FILES_LIMIT:
        raise Rejected(f"the app has {len(entries):,} files, at most {_FILES_LIMIT:,} are taken")
    # the sizes an archive declares are what unpacking stops at, so they need not be true
    if (unpacked := sum(entry.file_size for entry in entries)) > _UNPACKED_LIMIT:
        raise Rejected(f"the app unpacks to {unpacked:,} bytes, at most {_UNPACKED_LIMIT:,} are taken")
    for entry in entries:
        path = PurePosixPath(entry.filename)
        is_link = (entry.external_attr >> 16) & 0o170000 == 0o120000
        if path.is_absolute() or ".." in path.parts or "\\" in entry.filename or is_link:
            raise Rejected(f"the app has a file named {entry.filename!r}, which leads out of its folder")


def _checked(values: dict[str, Any]) -> tuple[_PyProject, dict[str, Value]]:
    try:
        pyproject = msgspec.convert(values, _PyProject)
        valid, errors, _ = validate_config(values, check_module=False)
        config = flatten_dict(pyproject.tool.flwr.app.config)
    except (msgspec.ValidationError, ValueError) as error:
        raise Rejected(f"{FAB_CONFIG_FILE}: {error}", hint="see Flower's guide to apps") from error
    if not valid:
        raise Rejected(f"{FAB_CONFIG_FILE}: {'; '.join(errors)}", hint="see Flower's guide to apps")
    for field, text in {
        "[project] name": pyproject.project.name,
        "[project] version": pyproject.project.version,
        "[tool.flwr.app] publisher": pyproject.tool.flwr.app.publisher,
    }.items():
        if not _NAME.fullmatch(text):
            raise Rejected(f"{FAB_CONFIG_FILE}: {field} is {text!r}", hint="letters, digits, '.', '_', '-' and '+'")
    for name, named in {"export": pyproject.tool.flip.export, "evaluate": pyproject.tool.flip.evaluate}.items():
        if named is not None and not _ENTRY_POINT.fullmatch(named):
            raise Rejected(f"{FAB_CONFIG_FILE}: [tool.flip] {name} is {named!r}", hint="write it as MODULE:FUNCTION")
    for key, value in config.items():
        if isinstance(value, int) and value not in _INT64:
            raise Rejected(f"{FAB_CONFIG_FILE}: {key} in [tool.flwr.app.config] needs more than 64 bits")
    return pyproject, config
