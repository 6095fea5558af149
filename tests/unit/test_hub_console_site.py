"""The console's files: read once, found by path, and nothing else is ever found."""

from pathlib import Path

import pytest

from flip_hub.console.site import Site


@pytest.fixture
def built(folder: Path) -> Path:
    static = folder / "static"
    (static / "assets").mkdir(parents=True)
    (static / "index.html").write_text("<!doctype html>")
    (static / "assets" / "index-abc.js").write_text("1")
    (static / "assets" / "index-abc.js.gz").write_bytes(b"packed")
    (folder / "secret.txt").write_text("secret")
    return static


def test_a_path_of_the_consoles_router_gets_the_index(built: Path) -> None:
    site = Site(built)
    assert site.built
    index = site.find("/")
    assert index is not None
    assert index.media_type == "text/html"
    assert site.find("/devices/dev-1") is index
    assert site.find("/index.html") is index


def test_a_file_that_is_not_there_is_not_found(built: Path) -> None:
    site = Site(built)
    for path in ("/missing.js", "/../secret.txt", "/assets/../../secret.txt", "//secret.txt"):
        assert site.find(path) is None, path


def test_hashed_files_are_kept_for_ever_and_the_index_never(built: Path) -> None:
    site = Site(built)
    script, index = site.find("/assets/index-abc.js"), site.find("/")
    assert script is not None
    assert index is not None
    assert script.gzipped == b"packed"
    assert "immutable" in script.cache
    assert index.cache == "no-cache"


def test_without_a_build_there_is_no_page(folder: Path) -> None:
    site = Site(folder / "static")
    assert not site.built
    assert site.find("/") is None
