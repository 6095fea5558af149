"""What can be said of an app's Python without running it: whether its `pyproject.toml` names what is there, and whether
what the app imports at once is to be had."""

import ast
import importlib.util
import zipfile
from collections.abc import Iterator, Mapping
from io import BytesIO

from flip_runtime.errors import Rejected

_LONGEST = 2**20
"""Bytes of a module that is looked into; longer ones are believed."""
_SCOPES = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda)


class AppSource:
    """The modules of a FAB, each read when it is asked for."""

    def __init__(self, content: bytes) -> None:
        """`content` is a zip that can be read."""
        self._archive = zipfile.ZipFile(BytesIO(content))
        self._names = set(self._archive.namelist())
        self._trees: dict[str, ast.Module | None] = {}

    def check_named(self, points: Mapping[str, str]) -> None:
        """`points`: MODULE:OBJECT by the field that names it. What the app does not bring is believed to be installed
        where it runs. Raises `Rejected` with the field."""
        for field, named in points.items():
            module, _, path = named.partition(":")
            if not self._brings(module.partition(".")[0]):
                continue
            try:
                tree = self._tree(module)
            except SyntaxError as error:
                raise Rejected(f"{field} names {named!r}: {error}", hint="correct that module") from error
            if tree is None and not self._has(module):
                raise Rejected(f"{field} names {named!r}: the app has no module {module}", hint="correct the name")
            name = path.partition(".")[0]
            if tree is not None and name and not _binds(tree, name):
                raise Rejected(f"{field} names {named!r}: {module} has no {name}", hint="correct the name")

    def check_imports(self, field: str, named: str) -> None:
        """As `check_named`, of what this process would import to run it. Raises `Rejected`."""
        begun, module = set[str](), named.partition(":")[0]
        waiting = [(field, module)]
        while waiting:
            by, module = waiting.pop()
            top = module.partition(".")[0]
            if not self._brings(top):
                if not _installed(top):
                    hint = "install it where the hub runs, or bring it in the app"
                    raise Rejected(f"{field} names {named!r}: {by} needs {top}, which is not there", hint=hint)
                continue
            if not self._has(module):
                raise Rejected(f"{field} names {named!r}: {by} needs {module}, which is not in the app")
            for part in {module, *_parents(module)} - begun:
                begun.add(part)
                waiting += [(part, each) for each in self._imported(part)]

    def _imported(self, module: str) -> Iterator[str]:
        """By the statements of a module that are always run; not those in `if` and `try`."""
        tree = self._tree(module)
        for statement in [] if tree is None else tree.body:
            if isinstance(statement, ast.Import):
                yield from (each.name for each in statement.names)
            if isinstance(statement, ast.ImportFrom):
                origin = self._origin(module, statement)
                yield origin
                yield from (inner for each in statement.names if self._has(inner := f"{origin}.{each.name}"))

    def _origin(self, module: str, statement: ast.ImportFrom) -> str:
        """Of what `from ... import` names, whole."""
        if not statement.level:
            return statement.module or ""
        is_package = self._file(module, "/__init__.py") in self._names
        parts = module.split(".")
        package = parts[: len(parts) + is_package - statement.level]
        return ".".join([*package, *([statement.module] if statement.module else [])])

    def _brings(self, top: str) -> bool:
        return f"{top}.py" in self._names or any(name.startswith(f"{top}/") for name in self._names)

    def _has(self, module: str) -> bool:
        """Also as a folder without `__init__.py`, or compiled."""
        place = self._file(module)
        return any(name.startswith((f"{place}.", f"{place}/")) for name in self._names)

    def _tree(self, module: str) -> ast.Module | None:
        """None: it has no source that is looked into. Raises `SyntaxError`, with the file and the line."""
        if module not in self._trees:
            files = [name for end in ("/__init__.py", ".py") if (name := self._file(module, end)) in self._names]
            self._trees[module] = self._parsed(files[0]) if files else None
        return self._trees[module]

    def _parsed(self, name: str) -> ast.Module | None:
        with self._archive.open(name) as file:
            source = file.read(_LONGEST + 1)
        if len(source) > _LONGEST:
            return None
        try:
            return ast.parse(source, name)
        except (ValueError, RecursionError, MemoryError) as error:
            raise SyntaxError(f"{name}: {error or 'nested too deeply'}") from error

    @staticmethod
    def _file(module: str, end: str = "") -> str:
        return module.replace(".", "/") + end


def _parents(module: str) -> Iterator[str]:
    while module := module.rpartition(".")[0]:
        yield module


def _binds(tree: ast.Module, name: str) -> bool:
    """Whether the module may have it: a name that is made in a way which cannot be seen counts."""
    waiting: list[ast.AST] = list(tree.body)
    while waiting:
        node = waiting.pop()
        match node:
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                if node.name in (name, "__getattr__"):
                    return True
            case ast.Import() | ast.ImportFrom():
                if {name, "*"} & {each.asname or each.name.partition(".")[0] for each in node.names}:
                    return True
            case ast.Name():
                if node.id == "globals" or (node.id == name and isinstance(node.ctx, ast.Store)):
                    return True
            case _:
                pass
        if not isinstance(node, _SCOPES):
            waiting += ast.iter_child_nodes(node)
    return any(name in node.names for node in ast.walk(tree) if isinstance(node, ast.Global))


def _installed(top: str) -> bool:
    try:
        return importlib.util.find_spec(top) is not None
    except (ImportError, ValueError):  # of modules that were made without a spec
        return True
