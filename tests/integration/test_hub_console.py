"""The hub serves its console: what is unchanged is not sent again, and unknown paths of the API are no pages."""

from pathlib import Path

import httpx
import pytest
from litestar import Litestar
from litestar.di import Provide
from litestar.testing import TestClient

from flip_hub.console.routes import serve_console
from flip_hub.console.site import Site
from flip_hub.problem import PROBLEM_JSON, answer_error


@pytest.fixture
def app(folder: Path) -> Litestar:
    (folder / "assets").mkdir()
    (folder / "index.html").write_text("<!doctype html><title>FLIP</title>")
    (folder / "assets" / "index-abc.js").write_text("let a = 1")
    (folder / "assets" / "index-abc.js.gz").write_bytes(b"packed")
    site = Site(folder)
    return Litestar(
        [serve_console],
        dependencies={"console": Provide(lambda: site, sync_to_thread=False)},
        exception_handlers={Exception: answer_error},
        openapi_config=None,
        logging_config=None,
    )


def _get(client: TestClient[Litestar], path: str, **headers: str) -> httpx.Response:
    return client.get(path, headers={"Accept-Encoding": "identity", **headers})


def test_every_path_of_the_console_gets_its_index(app: Litestar) -> None:
    with TestClient(app) as client:
        for path in ("/", "/devices/dev-1", "/runs"):
            answer = _get(client, path)
            assert answer.status_code == 200
            assert "<title>FLIP</title>" in answer.text
            assert "default-src 'self'" in answer.headers["Content-Security-Policy"]
        assert client.head("/").status_code == 200


def test_an_unchanged_file_is_answered_304(app: Litestar) -> None:
    with TestClient(app) as client:
        etag = _get(client, "/").headers["ETag"]
        again = _get(client, "/", **{"If-None-Match": etag})
        assert again.status_code == 304
        assert again.content == b""


def test_the_packed_file_goes_to_who_can_unpack_it(app: Litestar) -> None:
    with TestClient(app) as client:
        assert _get(client, "/assets/index-abc.js").text == "let a = 1"
        with client.stream("GET", "/assets/index-abc.js", headers={"Accept-Encoding": "gzip"}) as answer:
            assert answer.headers["Content-Encoding"] == "gzip"
            assert b"".join(answer.iter_raw()) == b"packed"


def test_what_is_not_the_consoles_is_a_problem_not_a_page(app: Litestar) -> None:
    with TestClient(app) as client:
        for path in ("/api/v1/nothing", "/api", "/internal/v1", "/health", "/missing.js"):
            answer = _get(client, path)
            assert answer.status_code == 404
            assert answer.headers["Content-Type"] == PROBLEM_JSON
