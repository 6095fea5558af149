"""An app that cannot be imported is refused before any device is asked, with the field that names it; none is run."""

import zipfile
from io import BytesIO

import pytest

from flip_hub.federation.fab import read_app
from flip_runtime.errors import Rejected

PYPROJECT = """
[project]
name = "tiny"
version = "1.0.0"
license = "MIT"
dependencies = ["flwr"]
[tool.flip]
export = "tiny.model:export"
[tool.flwr.app]
publisher = "someone"
[tool.flwr.app.components]
serverapp = "tiny.server:app"
clientapp = "tiny.client:app"
"""
NOT_RUN = 'raise SystemExit("this was run")\n'


def fab(**modules: str) -> bytes:
    """Of the package `tiny`; what is not given is as it must be."""
    whole = {
        "__init__": "",
        "server": "from tiny.model import export\napp = None\n",
        "client": "app = None\n",
        "model": "def export(): ...\n",
    }
    content = BytesIO()
    with zipfile.ZipFile(content, "w") as file:
        file.writestr("pyproject.toml", PYPROJECT)
        for name, text in {**whole, **modules}.items():
            if text != "-":
                file.writestr(f"tiny/{name}.py", text)
    return content.getvalue()


@pytest.mark.parametrize(
    ("module", "source", "told"),
    [
        ("server", "-", r"\] serverapp names 'tiny.server:app': the app has no module tiny.server"),
        ("client", "-", r"\] clientapp names 'tiny.client:app': the app has no module tiny.client"),
        ("model", "def other(): ...", r"\[tool.flip\] export names 'tiny.model:export': tiny.model has no export"),
        ("client", "def main():\n    app = 1", "tiny.client has no app"),
        ("server", "app = (\n", r"serverapp names 'tiny.server:app': '\(' was never closed \(server.py, line 1\)"),
        ("server", "app = '\0'", "serverapp names .*null"),
        ("server", "import no_such_module\napp = 1", "tiny.server needs no_such_module, which is not there"),
        ("server", "from . import model\nfrom .gone import x\napp = 1", "tiny.server needs tiny.gone, which is not in"),
        ("model", "import numpy, no.such\ndef export(): ...", "serverapp .*: tiny.model needs no, which is not there"),
        ("__init__", "from no_such_module import x", "serverapp .*: tiny needs no_such_module"),
    ],
)
def test_what_keeps_an_app_from_being_imported_is_told_with_its_field(module: str, source: str, told: str) -> None:
    with pytest.raises(Rejected, match=told):
        read_app(fab(**{module: source}), here=True)


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("client", "import no_such_module\napp = 1"),  # the devices may have it
        ("server", "try:\n    import no_such_module\nexcept ImportError:\n    pass\nif True:\n    app = 1"),
        ("server", "from json import *"),
        ("server", "globals()['app'] = 1"),
        ("server", "def __getattr__(name): ..."),
        ("server", "import json as app"),
        ("server", "for app in (1, 2): pass"),
        ("server", "def _make():\n    global app\n    app = 1\n_make()"),
        ("server", "import os.path, xml.dom, tiny.model\nfrom .model import export\napp: object = 1"),
        ("server", f"app = 1\n{NOT_RUN}"),
        ("server", "app = 1\n" + "#" * 2**20),
    ],
)
def test_what_may_be_imported_is_taken_and_never_run(module: str, source: str) -> None:
    read_app(fab(**{module: source}), here=True)


def test_what_the_hub_lacks_is_no_fault_where_the_app_is_only_built() -> None:
    read_app(fab(server="import no_such_module\napp = 1"))
