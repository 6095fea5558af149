"""Only programs of this device that call it by a loopback name get an answer."""

from typing import Any

import pytest

from flip_agent.inference.front import refusal


def scope(**headers: str) -> Any:
    return {"type": "http", "headers": [(name.encode(), value.encode()) for name, value in headers.items()]}


@pytest.mark.parametrize("host", ["localhost", "localhost:8082", "LOCALHOST:1", "127.0.0.1", "127.0.0.1:8082"])
@pytest.mark.parametrize("origin", [None, "http://localhost:3000", "http://127.0.0.1", "https://[::1]:8082"])
def test_loopback_names_are_welcome(host: str, origin: str | None) -> None:
    headers = {"host": host} | ({} if origin is None else {"origin": origin})
    assert refusal(scope(**headers)) is None


def test_ipv6_loopback_is_welcome() -> None:
    assert refusal(scope(host="[::1]")) is None
    assert refusal(scope(host="[::1]:8082")) is None


@pytest.mark.parametrize(
    "host",
    ["", "evil.example", "evil.example:8082", "localhost.evil.example", "127.0.0.1.evil.example", "0.0.0.0", "::1"],
)
def test_other_hosts_are_refused(host: str) -> None:
    refused = refusal(scope(host=host))
    assert refused is not None
    assert refused.status == 403
    assert refusal(scope()) is not None


@pytest.mark.parametrize(
    "origin", ["", "null", "http://evil.example", "http://localhost.evil.example", "localhost@evil"]
)
def test_pages_of_other_origins_are_refused(origin: str) -> None:
    refused = refusal(scope(host="localhost", origin=origin))
    assert refused is not None
    assert refused.status == 403
