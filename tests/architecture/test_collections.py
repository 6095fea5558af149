"""What the registry consists of is declared in one place, read from the source."""

import ast
from collections.abc import Iterator

from test_imports import PACKAGES

from flip_hub.registry.collections import COLLECTIONS, REGISTRY

MAKERS = {"create_index", "create_indexes", "ensure_index", "ensure_indexes", "create_collection", "drop_index"}
DECLARATIONS = PACKAGES["flip_hub"] / "flip_hub" / "registry"


def outside() -> Iterator[tuple[str, ast.AST]]:
    for path in sorted((PACKAGES["flip_hub"] / "flip_hub").rglob("*.py")):
        if DECLARATIONS not in path.parents:
            yield from ((path.name, node) for node in ast.walk(ast.parse(path.read_text())))


def test_no_store_makes_a_collection_or_an_index() -> None:
    made = [(name, node.attr) for name, node in outside() if isinstance(node, ast.Attribute) and node.attr in MAKERS]
    assert made == [], "declare it in flip_hub.registry.collections"


def test_every_collection_that_a_store_names_is_declared() -> None:
    named = {
        node.slice.value
        for _, node in outside()
        if isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Constant)
        if isinstance(node.value, ast.Name) and node.value.id == "database"
    }
    assert named - {each.name for each in (*COLLECTIONS, REGISTRY)} == set()


def test_every_collection_has_a_schema_or_is_a_time_series() -> None:
    assert [each.name for each in COLLECTIONS if each.schema is None and each.series is None] == []
