"""A device joins with a single-use token, wholly or not at all."""

import socket
import ssl
import stat
from pathlib import Path

import pytest
from agent_rig import Agent, until
from fake_hub import DEVICE, TOKEN, FakeHub, started

from flip_agent.hub.client import problem_of
from flip_agent.hub.connection import Answer
from flip_agent.identity import load_identity
from flip_hub.certificates import make_authority, make_server


@pytest.fixture
def hub(folder: Path) -> FakeHub:
    return FakeHub()


def test_a_token_is_exchanged_for_an_identity_and_the_key_stays_private(folder: Path, hub: FakeHub) -> None:
    agent = Agent(folder)
    with started(hub):
        done = agent.call("enrol", hub.url, "--token", TOKEN, "--name", "kitchen")
    assert done.returncode == 0, done.stderr
    assert str(DEVICE) in done.stdout
    identity = load_identity(agent.state)
    assert identity is not None
    assert (identity.device_id, identity.name, identity.hub_url) == (DEVICE, "kitchen", hub.url)
    assert stat.S_IMODE((agent.state / "device.key").stat().st_mode) == 0o600
    assert stat.S_IMODE(agent.state.stat().st_mode) == 0o700
    assert "BEGIN PUBLIC KEY" in hub.public_key


def test_a_wrong_or_used_token_is_refused_with_the_hubs_hint_and_leaves_nothing_half_done(
    folder: Path, hub: FakeHub
) -> None:
    agent = Agent(folder)
    with started(hub):
        refused = agent.call("enrol", hub.url, "--token", "guessed")
        assert refused.returncode == 1
        assert "flip-hub enrolment-tokens create" in refused.stderr
        assert refused.stderr.count("\n") == 1
        assert not (agent.state / "identity.json").exists()
        key = (agent.state / "device.key").read_bytes()
        agent.enrol(hub)
        assert (agent.state / "device.key").read_bytes() == key, "the key of the first attempt is used"
        used = agent.call("enrol", hub.url, "--token", TOKEN, "--again")
        assert used.returncode == 1
        assert load_identity(agent.state) is not None, "the earlier identity stays"


def test_an_enrolled_device_says_so_and_is_enrolled_anew_only_when_asked(folder: Path, hub: FakeHub) -> None:
    agent = Agent(folder)
    (folder / "token").write_text(f"{TOKEN}\n")
    with started(hub):
        agent.enrol(hub)
        hub.token_used = False
        twice = agent.call("enrol", hub.url, "--token-file", str(folder / "token"))
        assert twice.returncode == 1
        assert "enrolled already" in twice.stderr
        assert "--again" in twice.stderr
        again = agent.call("enrol", hub.url, "--token-file", str(folder / "token"), "--again")
    assert again.returncode == 0, again.stderr
    assert f"this replaces the enrolment as {socket.gethostname()} ({DEVICE})" in again.stdout


@pytest.mark.parametrize("damage", [b"", b"\x00\xff" * 40, b'{"device_id": "\xff"}', b"{}"])
def test_a_damaged_identity_is_replaced_when_asked_to_and_kept_aside(folder: Path, damage: bytes) -> None:
    hub, agent = FakeHub(), Agent(folder)
    with started(hub):
        agent.enrol(hub)
        (agent.state / "identity.json").write_bytes(damage)
        hub.token_used = False
        refused = agent.call("enrol", hub.url, "--token", TOKEN)
        assert refused.returncode == 78
        assert refused.stderr.count("\n") == 1
        assert f"{agent.state}/identity.json is damaged" in refused.stderr
        assert "--again" in refused.stderr
        again = agent.call("enrol", hub.url, "--token", TOKEN, "--again")
    assert again.returncode == 0, again.stderr
    assert f"this replaces a damaged identity.json, kept as {agent.state}/identity.json.damaged" in again.stdout
    assert (agent.state / "identity.json.damaged").read_bytes() == damage
    identity = load_identity(agent.state)
    assert identity is not None
    assert identity.hub_url == hub.url


def test_a_running_daemon_names_a_damaged_key_and_goes_on_when_the_device_is_enrolled_with_another(
    folder: Path, hub: FakeHub
) -> None:
    agent = Agent(folder)
    with started(hub):
        agent.enrol(hub)
        (agent.state / "device.key").write_bytes(b"\xff" * 300)
        with agent.running():
            until(lambda: (status := agent.status()) and "device.key is damaged" in status.hub_detail, within=60)
            (agent.state / "device.key").rename(agent.state / "device.key.damaged")
            hub.token_used = False
            assert agent.call("enrol", hub.url, "--token", TOKEN, "--again").returncode == 0
            until(lambda: (status := agent.status()) and status.hub_connected, within=60)
    assert "Traceback" not in agent.log.read_text()


def test_an_answer_of_a_proxy_that_is_no_utf8_is_told_by_its_status() -> None:
    assert problem_of(Answer(status=502, body=b'{"title": "\xff"}')).detail == "the hub answered 502"


def test_a_hub_that_is_not_there_is_named(folder: Path, port: int) -> None:
    done = Agent(folder).call("enrol", f"http://127.0.0.1:{port}", "--token", TOKEN)
    assert done.returncode == 1
    assert f"http://127.0.0.1:{port}" in done.stderr
    assert done.stderr.count("\n") == 1


def test_an_https_hub_is_trusted_by_its_authority_and_no_other(folder: Path, hub: FakeHub) -> None:
    authority = make_authority()
    certificate = make_server(authority, ["127.0.0.1"])
    for name, content in {
        "ca.pem": authority.certificate,
        "pem": certificate.certificate,
        "key": certificate.key,
    }.items():
        (folder / name).write_bytes(content)
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(folder / "pem", folder / "key")
    hub.start(tls=tls)
    url = f"https://127.0.0.1:{hub.port}"
    try:
        agent = Agent(folder)
        stranger = agent.call("enrol", url, "--token", TOKEN)
        assert stranger.returncode == 1
        assert "certificate" in stranger.stderr
        known = agent.call("enrol", url, "--token", TOKEN, "--ca", str(folder / "ca.pem"))
        assert known.returncode == 0, known.stderr
    finally:
        hub.stop()
