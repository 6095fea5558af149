"""What a first visit loads stays small: the modules that the start page names, and the page behind them."""

import re

import pytest

from flip_hub.console.site import STATIC

FIRST_LOAD = 150_000
"""Bytes of JavaScript, gzipped."""


@pytest.mark.parametrize("page", ["LoginPage", "OverviewPage", "DevicesPage", "RunsPage", "ModelsPage"])
def test_a_first_visit_loads_little_javascript(page: str) -> None:
    index = (STATIC / "index.html").read_text()
    named = set(re.findall(r'(?:src|href)="/(assets/[^"]+\.js)"', index))
    modules = {file.relative_to(STATIC).as_posix() for file in STATIC.glob(f"assets/{page}-*.js")}
    assert named
    assert modules
    first = reachable(named | modules)
    assert not any("LineChart" in name for name in first)
    assert sum((STATIC / f"{name}.gz").stat().st_size for name in first) <= FIRST_LOAD


def reachable(names: set[str]) -> set[str]:
    """With all that they import statically."""
    found: set[str] = set()
    waiting = set(names)
    while waiting:
        name = waiting.pop()
        found.add(name)
        text = (STATIC / name).read_text()
        imports = re.findall(r'(?:from|import)\s*"\./([^"]+\.js)"', text)
        waiting |= {f"assets/{each}" for each in imports} - found
    return found
