"""Only programs that call this device by a name of its own, and show its token, get an answer."""

from typing import Any

import pytest

from flip_agent.inference.http.admission import Admission
from flip_agent.inference.problems import Refusal, problem_headers

TOKEN = "0123456789abcdef"


def refusal(admission: Admission | None = None, *, server: str = "127.0.0.1", **headers: str) -> Refusal | None:
    scope: Any = {"type": "http", "server": (server, 8082)}
    given = {name.encode(): value.encode() for name, value in headers.items()}
    return (admission or Admission()).refusal(scope, given)


@pytest.mark.parametrize("host", ["localhost", "localhost:8082", "LOCALHOST:1", "127.0.0.1", "[::1]", "[::1]:8082"])
@pytest.mark.parametrize("origin", [None, "http://localhost:3000", "http://127.0.0.1", "https://[::1]:8082"])
def test_loopback_names_are_welcome(host: str, origin: str | None) -> None:
    assert (refusal(host=host) if origin is None else refusal(host=host, origin=origin)) is None


@pytest.mark.parametrize(
    "host",
    ["", "evil.example", "evil.example:8082", "localhost.evil.example", "127.0.0.1.evil.example", "0.0.0.0", "::1"],
)
def test_other_hosts_are_refused(host: str) -> None:
    refused = refusal(host=host)
    assert refused is not None
    assert refused.status == 403


def test_a_request_without_a_host_is_refused() -> None:
    assert refusal() is not None


@pytest.mark.parametrize(
    "origin", ["", "null", "http://evil.example", "http://localhost.evil.example", "localhost@evil"]
)
def test_pages_of_other_origins_are_refused(origin: str) -> None:
    refused = refusal(host="localhost", origin=origin)
    assert refused is not None
    assert refused.status == 403


def test_the_address_that_was_called_is_a_name_and_no_other_address_is() -> None:
    for server, host in (
        ("192.0.2.7", "192.0.2.7:8082"),
        ("::ffff:192.0.2.7", "192.0.2.7:8082"),
        ("2001:db8::7", "[2001:db8::7]:8082"),
    ):
        assert refusal(server=server, host=host, origin=f"http://{host}") is None
        assert refusal(server=server, host="192.0.2.8:8082") is not None


def test_further_names_are_those_that_are_listed() -> None:
    named = Admission(["Camera-7.example"])
    assert refusal(named, host="camera-7.EXAMPLE:8082") is None
    assert refusal(named, host="camera-8.example:8082") is not None


@pytest.mark.parametrize("scheme", ["Bearer", "bearer"])
def test_a_request_that_shows_the_token_is_welcome(scheme: str) -> None:
    assert refusal(Admission(token=TOKEN), host="localhost", authorization=f"{scheme} {TOKEN}") is None


@pytest.mark.parametrize("shown", [None, "", TOKEN, f"Basic {TOKEN}", f"Bearer {TOKEN}x", "Bearer ", "Bearer \xe9"])
def test_one_that_does_not_is_told_how(shown: str | None) -> None:
    asking = Admission(token=TOKEN)
    refused = (
        refusal(asking, host="localhost") if shown is None else refusal(asking, host="localhost", authorization=shown)
    )
    assert refused is not None
    assert (refused.status, problem_headers(refused)) == (401, {"www-authenticate": "Bearer"})
    assert TOKEN not in str(refused)


def test_a_foreign_page_learns_nothing_of_the_token() -> None:
    refused = refusal(Admission(token=TOKEN), host="evil.example", authorization=f"Bearer {TOKEN}")
    assert refused is not None
    assert refused.status == 403
