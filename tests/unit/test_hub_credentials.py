"""The hub's own authority and the gateway's certificate, as devices check them."""

import stat
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.x509.verification import PolicyBuilder, Store

from flip_hub.credentials import issue_certificate, load_credentials, make_credentials
from flip_hub.settings import FleetSection, HubSection, Settings
from flip_runtime.errors import ConfigError


def _settings(state: Path) -> Settings:
    return Settings(hub=HubSection(state=state), fleet=FleetSection(names=["hub.example", "127.0.0.1", "::1"]))


def test_the_gateways_certificate_is_trusted_for_its_names_only(folder: Path) -> None:
    make_credentials(_settings(folder))
    ca = x509.load_pem_x509_certificate((folder / "ca.pem").read_bytes())
    gateway = x509.load_pem_x509_certificate((folder / "fleet.pem").read_bytes())
    trusted = PolicyBuilder().store(Store([ca]))
    trusted.build_server_verifier(x509.DNSName("hub.example")).verify(gateway, [])
    with pytest.raises(x509.verification.VerificationError):
        trusted.build_server_verifier(x509.DNSName("other.example")).verify(gateway, [])


def test_nobody_else_may_read_what_is_made_and_nothing_is_made_twice(folder: Path) -> None:
    state = folder / "hub"
    made = make_credentials(_settings(state))
    assert stat.S_IMODE(state.stat().st_mode) == 0o700
    assert {stat.S_IMODE((state / name).stat().st_mode) for name in made} == {0o600}
    before = {name: (state / name).read_bytes() for name in made}
    assert make_credentials(_settings(state)) == []
    assert {name: (state / name).read_bytes() for name in made} == before
    load_credentials(state)


def test_a_state_folder_that_was_never_initialised_names_the_way_out(folder: Path) -> None:
    with pytest.raises(ConfigError, match="flip-hub init"):
        load_credentials(folder)


def test_a_proxy_gets_a_certificate_that_devices_trust(folder: Path) -> None:
    state, proxy = folder / "hub", folder / "proxy"
    proxy.mkdir()
    make_credentials(_settings(state))
    files = issue_certificate(state, ["hub.example"], proxy)
    assert [path.name for path in files] == ["proxy.key", "proxy.pem", "ca.pem"]
    assert stat.S_IMODE((proxy / "proxy.key").stat().st_mode) == 0o600
    ca = x509.load_pem_x509_certificate((proxy / "ca.pem").read_bytes())
    issued = x509.load_pem_x509_certificate((proxy / "proxy.pem").read_bytes())
    PolicyBuilder().store(Store([ca])).build_server_verifier(x509.DNSName("hub.example")).verify(issued, [])
    with pytest.raises(ConfigError, match="--folder"):
        issue_certificate(state, ["hub.example"], folder / "nowhere")
