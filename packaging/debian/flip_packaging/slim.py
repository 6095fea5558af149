"""What the packages leave out of other people's wheels: nothing that runs on a device or a hub needs it.

The machines of `tests/machines` run whole federations without it.
Libraries are never stripped: wheels' patched ELF files break ("load command address/offset not page-aligned").
"""

import csv
import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path

NOT_NEEDED = {
    "uv": "Flower installs the dependencies of apps with it, where it is allowed to; here it is not",
    "ruff": "for `flwr new`",
    "faker": "polyfactory's, which makes up examples",
    "polyfactory": "Litestar's, for examples in documentation",
    "watchfiles": "uvicorn reloads with it, for developers",
    "python-dotenv": "uvicorn reads .env files with it",
    "pycparser": "makes C modules; they are made",
}
"""Distributions, and why."""
ON_DEVICES = {
    **dict.fromkeys(("sqlalchemy", "alembic", "mako", "greenlet"), "the SuperLink's registry"),
    **dict.fromkeys(("fastapi", "starlette", "annotated-doc", "pydantic", "pydantic-core"), "the SuperLink's API"),
    **dict.fromkeys(("typing-inspection", "annotated-types"), "pydantic's"),
    "websockets": "uvicorn's; nothing on a device speaks WebSocket",
    "prompt-toolkit": "for `flwr`'s questions",
    "wcwidth": "prompt-toolkit's",
}
"""Besides, in `flip-agent`."""
_FOLDERS = {"tests", "test", "__pycache__", "SelfTest"}
_SUFFIXES = {".pyi", ".pyx", ".pxd", ".c", ".cpp", ".h", ".hpp", ".a", ".lib"}
_PARTS = ("onnxruntime/tools", "onnxruntime/transformers", "onnxruntime/quantization", "onnxruntime/datasets", "bin")
_OF_BUILDING = {"direct_url.json", "uv_build.json", "uv_cache.json", "REQUESTED", "RECORD", ".lock"}
"""Files that name the building machine, or what was left out since."""


def slim(site: Path, left_out: Sequence[str] = ()) -> None:
    remove_distributions(site, [*NOT_NEEDED, *left_out])
    for part in _PARTS:
        shutil.rmtree(site / part, ignore_errors=True)
    for path in sorted(site.rglob("*"), reverse=True):
        if path.is_dir():
            if path.name in _FOLDERS and not _is_public(path):
                shutil.rmtree(path)
        elif path.suffix in _SUFFIXES or path.name in _OF_BUILDING:
            path.unlink()
        else:
            path.chmod(0o755 if path.parent.name == "bin" else 0o644)


def remove_distributions(site: Path, names: Iterable[str]) -> None:
    """All files that their RECORDs name."""
    wanted = {_normal(name) for name in names}
    for info in site.glob("*.dist-info"):
        if _normal(info.name.split("-")[0]) not in wanted:
            continue
        with (info / "RECORD").open(newline="") as record:
            files = [site / row[0] for row in csv.reader(record)]
        for path in files:
            if site in path.resolve().parents:
                path.unlink(missing_ok=True)
        shutil.rmtree(info)
    for folder in sorted((path for path in site.rglob("*") if path.is_dir()), reverse=True):
        if not any(folder.iterdir()):
            folder.rmdir()


def _is_public(folder: Path) -> bool:
    """numpy.testing and its kind need theirs; a module of torch is called so."""
    return "torch" in folder.parts


def _normal(name: str) -> str:
    return name.lower().replace("_", "-").replace(".", "-")
