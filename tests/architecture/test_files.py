"""Each file of a device belongs to one process: who names it and who opens it, read from the source."""

import ast
from collections.abc import Iterator

from test_imports import PACKAGES, imports_of

OWNERS = {
    # doctor looks at it where no daemon runs, and only reads
    "outbox.db": {"flip_agent.first_outbox", "flip_agent.doctor"},
    "session.db": {"flip_agent.federation.session_process"},
    "samples.db": {"flip_agent.inference.instance"},
}
OPENERS = {"flip_agent.durable_file", "flip_agent.outbox.file", "flip_agent.outbox.aside", "flip_agent.doctor"}
"""Modules that connect to a SQLite file."""
INSIDE = {
    "flip_agent.feedback.sample_file": ("flip_agent.feedback.",),
    "flip_agent.feedback.sample_store": ("flip_agent.feedback.", "flip_agent.inference.instance"),
    "flip_agent.federation.session_store": ("flip_agent.federation.",),
    "flip_agent.federation.own_parts_keeper": ("flip_agent.federation.",),
    "flip_agent.outbox.file": ("flip_agent.outbox.",),
}
"""By whom the classes of a file may be imported."""


def modules() -> Iterator[tuple[str, ast.Module]]:
    for path in sorted((PACKAGES["flip_agent"] / "flip_agent").rglob("*.py")):
        yield ".".join(path.relative_to(PACKAGES["flip_agent"]).with_suffix("").parts), ast.parse(path.read_text())


def test_a_database_is_named_by_its_owner_alone() -> None:
    naming: dict[str, set[str]] = {name: set() for name in OWNERS}
    for module, tree in modules():
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value in naming:
                naming[node.value].add(module)
    assert naming == OWNERS


def test_a_sqlite_file_is_opened_only_by_the_modules_that_know_how() -> None:
    opening = {
        module
        for module, tree in modules()
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and node.attr == "connect" and isinstance(node.value, ast.Name)
        if node.value.id in {"sqlite3", "aiosqlite"}
    }
    assert opening == OPENERS


def test_own_parts_are_written_by_the_session_alone_and_read_by_serve() -> None:
    users: dict[str, set[str]] = {"encode_parts": set(), "OwnPartsFolder": set()}
    for module, tree in modules():
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and node.module == "flip_agent.own_parts":
                for name in node.names:
                    users.get(name.name, set()).add(module)
    keeper, serve = "flip_agent.federation.own_parts_keeper", "flip_agent.inference."
    assert users["encode_parts"] == {keeper}
    assert {user for user in users["OwnPartsFolder"] if not user.startswith(serve)} == {keeper}


def test_nobody_but_its_owner_imports_what_opens_a_file() -> None:
    wrong = [i for i in imports_of("flip_agent") if i.of in INSIDE and not i.by.startswith(INSIDE[i.of])]
    assert wrong == []
