"""API and console over TLS: the hub's own certificate, a user's, and a new one without a restart."""

import asyncio
import ssl
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest

from core_hub import running_core
from flip_hub.certificates import KeyPair, is_to_renew, make_authority, make_server
from flip_hub.credentials import api_certificate, make_credentials
from flip_hub.settings import HubSection, Settings
from flip_runtime.errors import ConfigError


def trusting(ca: Path | bytes) -> ssl.SSLContext:
    return ssl.create_default_context(cadata=(ca if isinstance(ca, bytes) else ca.read_bytes()).decode())


@asynccontextmanager
async def browser(url: str, context: ssl.SSLContext) -> AsyncGenerator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=url, verify=context, trust_env=False) as http:
        yield http


def write(folder: Path, pair: KeyPair) -> tuple[Path, Path]:
    paths = folder / "mine.pem", folder / "mine.key"
    for path, content in zip(paths, (pair.certificate, pair.key), strict=True):
        path.write_bytes(content)
    return paths


@pytest.mark.asyncio
async def test_the_hub_speaks_tls_with_a_certificate_of_its_own_authority(folder: Path, mongo_url: str) -> None:
    async with running_core(folder, mongo_url, tls=True) as hub:
        assert hub.url.startswith("https://")
        async with browser(hub.url, trusting(folder / "hub" / "ca.pem")) as http:
            answer = await http.get("/health/live")
            assert answer.status_code == 200
            assert "max-age" in answer.headers["Strict-Transport-Security"]
        async with browser(hub.url, ssl.create_default_context()) as stranger:
            with pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
                await stranger.get("/health/live")
        async with browser(hub.url.replace("https", "http"), ssl.create_default_context()) as plain:
            with pytest.raises(httpx.TransportError):
                await plain.get("/health/live")


@pytest.mark.asyncio
async def test_a_replaced_certificate_is_taken_without_a_restart_and_a_wrong_one_is_not(
    folder: Path, mongo_url: str
) -> None:
    first, second = make_authority(), make_authority()
    certificate, key = write(folder, make_server(first, ["127.0.0.1"]))
    async with (
        running_core(folder, mongo_url, tls=True, certificate=certificate, private_key=key) as hub,
        browser(hub.url, trusting(first.certificate)) as kept,
    ):
        assert (await kept.get("/health/live")).status_code == 200
        key.write_bytes(make_server(second, ["127.0.0.1"]).key)
        assert hub.certificate is not None
        hub.certificate.look()
        async with browser(hub.url, trusting(first.certificate)) as http:
            assert (await http.get("/health/live")).status_code == 200
        write(folder, make_server(second, ["127.0.0.1"]))
        async with browser(hub.url, trusting(second.certificate)) as http, asyncio.timeout(30):
            while True:
                try:
                    assert (await http.get("/health/live")).status_code == 200
                    break
                except httpx.ConnectError:
                    await asyncio.sleep(0.1)
        assert (await kept.get("/health/live")).status_code == 200  # on the connection that it has


@pytest.mark.asyncio
async def test_a_host_that_is_not_the_hubs_is_refused(folder: Path, mongo_url: str) -> None:
    async with running_core(folder, mongo_url) as hub:
        answer = await hub.http.get("/api/v1/auth/me", headers={"Host": "evil.example"})
        assert (answer.status_code, answer.json()["hint"]) == (
            400,
            "name it in hub.names, if this hub is meant to be reached by it",
        )
        assert (await hub.http.get("/health/live", headers={"Host": "10.0.0.1:8000"})).status_code == 200
        assert (await hub.http.get("/", headers={"Host": f"LOCALHOST:{hub.settings.hub.port}"})).status_code == 200


@pytest.mark.asyncio
@pytest.mark.parametrize("path", ["/", "/api/v1/auth/me", "/api/docs", "/health/live", "/nothing"])
async def test_every_answer_binds_browsers(folder: Path, mongo_url: str, path: str) -> None:
    async with running_core(folder, mongo_url) as hub:
        headers = (await hub.http.get(path)).headers
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["X-Frame-Options"] == "DENY"
        assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]
        assert "Access-Control-Allow-Origin" not in headers
        assert "Strict-Transport-Security" not in headers  # plain HTTP, on loopback


@pytest.mark.asyncio
@pytest.mark.parametrize("proxies", [[], ["127.0.0.1"]])
async def test_who_calls_is_taken_from_a_proxy_only_when_it_is_known(
    folder: Path, mongo_url: str, proxies: list[str]
) -> None:
    async with running_core(folder, mongo_url, proxies=proxies) as hub:
        statuses: list[int] = []
        for number in range(30):
            headers = {"X-Forwarded-For": f"192.0.2.{number}"}
            wrong = {"username": f"nobody-{number}", "password": "guess"}
            statuses.append((await hub.post("/api/v1/auth/login", wrong, headers)).status_code)
        assert (429 in statuses) is not bool(proxies)


def test_a_certificate_is_renewed_before_it_ends_and_when_its_names_change() -> None:
    authority = make_authority()
    pair = make_server(authority, ["hub.example", "10.0.0.1"])
    now = datetime.now(UTC)

    def renewed(names: list[str], after: timedelta, by: KeyPair = authority) -> bool:
        return is_to_renew(pair.certificate, by.certificate, names, now + after)

    assert not renewed(["10.0.0.1", "hub.example"], timedelta(days=700))
    assert renewed(["10.0.0.1", "hub.example"], timedelta(days=740))
    assert renewed(["hub.example"], timedelta())
    assert renewed(["10.0.0.1", "hub.example"], timedelta(), make_authority())


def test_new_names_get_a_new_certificate_from_the_same_authority(folder: Path) -> None:
    make_credentials(Settings(hub=HubSection(state=folder)))
    authority, before = (folder / "ca.pem").read_bytes(), (folder / "api.pem").read_bytes()
    certificate = api_certificate(Settings(hub=HubSection(state=folder, tls=True, names=["hub.example"])))
    assert certificate is not None
    certificate.context()
    assert (folder / "ca.pem").read_bytes() == authority
    assert not is_to_renew((folder / "api.pem").read_bytes(), authority, ["hub.example"], datetime.now(UTC))
    assert (folder / "api.pem").read_bytes() != before


def test_plain_http_stays_on_this_machine(folder: Path) -> None:
    with pytest.raises(ConfigError, match=r"without TLS the hub does not listen on 0\.0\.0\.0"):
        api_certificate(Settings(hub=HubSection(state=folder, tls=False, host="0.0.0.0")))
    with pytest.raises(ConfigError, match="go together"):
        api_certificate(Settings(hub=HubSection(state=folder, tls=True, certificate=folder / "a.pem")))
