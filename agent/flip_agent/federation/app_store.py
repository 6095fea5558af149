"""Flower apps on the device, unpacked below the hash of their FAB; a folder that is there is whole. It is used as long
as a key that this device trusts has signed it.

What an app needs must be installed here beforehand: `missing` says what is not, before the app is run.
"""

import hashlib
import importlib.util
import io
import shutil
import tomllib
import zipfile
import zlib
from importlib import metadata
from pathlib import Path, PurePosixPath

import msgspec
from msgspec import Struct, field
from packaging.requirements import InvalidRequirement, Requirement

from flip_agent.federation.app_signature import TrustedKeys
from flip_agent.federation.flower import Fab
from flip_runtime.atomic import sync_folder, write_file
from flip_runtime.errors import Rejected, Unavailable

_VERIFICATIONS = ".flip-verifications.json"
"""In the app's folder: what the FAB said of who has signed it."""
_MOST_FILES = 2000
_MOST_BYTES = 64 * 2**20
"""Unpacked; Flower's own limit for a FAB is 10 MiB."""


class _Project(Struct, frozen=True):
    dependencies: list[str] = []


class _Components(Struct, frozen=True):
    clientapp: str


class _App(Struct, frozen=True):
    components: _Components


class _Flwr(Struct, frozen=True):
    app: _App


class _Tool(Struct, frozen=True):
    flwr: _Flwr


class _Pyproject(Struct, frozen=True):
    tool: _Tool
    project: _Project = field(default_factory=_Project)


class App(Struct, frozen=True, kw_only=True):
    folder: Path
    clientapp: str
    """MODULE:ATTRIBUTE."""
    dependencies: list[str]


class AppStore:
    def __init__(self, root: Path, trusted: TrustedKeys) -> None:
        self._root = root
        self._trusted = trusted
        root.mkdir(parents=True, exist_ok=True, mode=0o700)

    def holds(self, fab_hash: str) -> bool:
        """Whether it is here and may run; the hub may have new signatures of one that may not."""
        try:
            said = (self._folder(fab_hash) / _VERIFICATIONS).read_bytes()
            self._trusted.check(fab_hash, msgspec.json.decode(said, type=dict[str, str]))
        except (OSError, msgspec.DecodeError, UnicodeDecodeError, Rejected):
            return False
        return True

    def install(self, fab_hash: str, fab: Fab) -> None:
        """Raises `Rejected` when it is not the FAB of that hash, no trusted key has signed it, or it is no archive
        that may be unpacked; `Unavailable` when the disk has no room for it."""
        if (found := hashlib.sha256(fab.content).hexdigest()) != fab_hash:
            raise Rejected(f"the app has hash {found[:12]}, not {fab_hash[:12]}")
        folder = self._folder(fab_hash)
        self._trusted.check(fab_hash, fab.verifications)
        contents = _contents(fab.content) | {_VERIFICATIONS: msgspec.json.encode(fab.verifications)}
        part = self._root / f".{fab_hash}.part"
        try:
            shutil.rmtree(part, ignore_errors=True)
            for name, content in contents.items():
                path = part / name
                path.parent.mkdir(parents=True, exist_ok=True)
                write_file(path, content)
            shutil.rmtree(folder, ignore_errors=True)  # of an app whose signatures are new
            part.rename(folder)
            sync_folder(self._root)
        except OSError as error:
            shutil.rmtree(part, ignore_errors=True)
            raise Unavailable(f"cannot write {folder}: {error.strerror}", hint="make room on the disk") from error

    def app(self, fab_hash: str) -> App:
        """Raises `Rejected` when its pyproject.toml is missing or names no ClientApp."""
        folder = self._folder(fab_hash)
        try:
            text = (folder / "pyproject.toml").read_text()
            described = msgspec.convert(tomllib.loads(text), _Pyproject)
        except (OSError, ValueError) as error:  # no TOML, no UTF-8, or not what Flower asks for
            raise Rejected(f"the app's pyproject.toml: {error}") from error
        clientapp = described.tool.flwr.app.components.clientapp
        return App(folder=folder, clientapp=clientapp, dependencies=described.project.dependencies)

    def keep_only(self, in_use: set[str]) -> None:
        for folder in self._root.iterdir():
            if folder.name not in in_use:
                shutil.rmtree(folder)

    def _folder(self, fab_hash: str) -> Path:
        if len(fab_hash) != 64 or not set(fab_hash) <= set("0123456789abcdef"):
            raise Rejected(f"{fab_hash!r} is no hash of an app")
        return self._root / fab_hash


def missing(app: App) -> list[str]:
    """What the app needs and this device lacks, in words. Extras are not looked into: `flwr[simulation]` asks for
    what only a simulation uses."""
    lacks = [lack for dependency in app.dependencies if (lack := _lack(dependency))]
    module = app.clientapp.partition(":")[0]
    top = module.partition(".")[0]
    in_app = (app.folder / top).is_dir() or (app.folder / f"{top}.py").is_file()
    if not in_app and (not top or importlib.util.find_spec(top) is None):
        lacks.append(f"module {module} of the ClientApp, which is neither in the app nor installed")
    return lacks


def _lack(dependency: str) -> str:
    try:
        requirement = Requirement(dependency)
    except InvalidRequirement as error:
        return f"{dependency!r}, which is no requirement: {error}"
    if requirement.marker is not None and not requirement.marker.evaluate():
        return ""
    try:
        installed = metadata.version(requirement.name)
    except metadata.PackageNotFoundError:
        return f"{requirement.name}{requirement.specifier} (not installed)"
    if requirement.specifier.contains(installed, prereleases=True):
        return ""
    return f"{requirement.name}{requirement.specifier} (installed: {installed})"


def _contents(fab: bytes) -> dict[str, bytes]:
    """Files by name. Only plain relative names are taken, and never more than the limits, whatever the archive says."""
    try:
        with zipfile.ZipFile(io.BytesIO(fab)) as archive:
            members = [member for member in archive.infolist() if not member.is_dir()]
            if len(members) > _MOST_FILES:
                raise Rejected(f"the app has {len(members)} files, more than {_MOST_FILES}")
            left = _MOST_BYTES
            contents: dict[str, bytes] = {}
            for member in members:
                with archive.open(member) as file:
                    content = file.read(left + 1)
                left -= len(content)
                if left < 0:
                    raise Rejected(f"the app is larger than {_MOST_BYTES >> 20} MiB")
                contents[_plain(member.filename)] = content
            return contents
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
        raise Rejected(f"the app is no archive: {error}") from error


def _plain(name: str) -> str:
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or "\\" in name or not path.parts:
        raise Rejected(f"the app holds a file outside its folder: {name!r}")
    return name
