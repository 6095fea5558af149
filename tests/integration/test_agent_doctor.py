"""`flip-agent doctor` names what is wrong and the way out, with and without a running daemon."""

import contextlib
import os
import socket
import ssl
import threading
from collections.abc import Generator
from pathlib import Path

import msgspec
import pytest
from agent_rig import Agent, until
from fake_hub import FakeHub, started

from flip_agent.cli import main
from flip_agent.health.checks import disk
from flip_agent.identity import load_identity, save_identity
from flip_agent.looks import Verdict
from flip_demo.ports import free_port
from flip_hub.certificates import KeyPair, make_authority, make_server


class Rig:
    """An enrolled device, its hub, and the hub's gateway."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.hub = FakeHub()
        self.agent = Agent(folder)
        self.port = free_port()
        self.agent.config.write_text(f"{self.agent.config.read_text()}\n[inference]\nport = {self.port}\n")

    @contextlib.contextmanager
    def well(self) -> Generator[None]:
        """Everything is there but the daemon."""
        authority = make_authority()
        with started(self.hub), self._gateway(authority) as port:
            self.agent.enrol(self.hub)
            identity = load_identity(self.agent.state)
            assert identity is not None
            address, ca = f"127.0.0.1:{port}", authority.certificate.decode()
            save_identity(self.agent.state, msgspec.structs.replace(identity, fleet_address=address, ca=ca))
            yield

    @contextlib.contextmanager
    def _gateway(self, authority: KeyPair) -> Generator[int]:
        pair = make_server(authority, ["127.0.0.1"])
        (self.folder / "gateway.pem").write_bytes(pair.certificate + pair.key)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.folder / "gateway.pem")
        with socket.create_server(("127.0.0.1", 0)) as listener:
            threading.Thread(target=_shake_hands, args=(listener, context), daemon=True).start()
            yield listener.getsockname()[1]
            listener.shutdown(socket.SHUT_RDWR)

    def doctor(self, *options: str) -> tuple[int, dict[str, Verdict]]:
        done = self.agent.call("doctor", "--json", *options)
        assert done.stderr == ""
        verdicts = msgspec.json.decode(done.stdout, type=list[Verdict])
        return done.returncode, {verdict.subject: verdict for verdict in verdicts}

    def complaint(self, subject: str) -> str:
        """The only one there is."""
        status, verdicts = self.doctor()
        assert status == 1
        bad = [verdict for verdict in verdicts.values() if not verdict.good]
        assert [verdict.subject for verdict in bad] == [subject]
        return bad[0].text


def _shake_hands(listener: socket.socket, context: ssl.SSLContext) -> None:
    with contextlib.suppress(OSError):
        while True:
            connection, _ = listener.accept()
            with contextlib.suppress(OSError):
                context.wrap_socket(connection, server_side=True).close()


@pytest.fixture
def rig(folder: Path) -> Rig:
    return Rig(folder)


def test_a_device_that_is_well_has_a_line_for_each_subject_and_status_0(rig: Rig) -> None:
    with rig.well():
        done = rig.agent.call("doctor")
        status, verdicts = rig.doctor()
    assert done.returncode == status == 0, done.stdout
    subjects = ["configuration", "state", "identity", "key", "disk", "inodes", "memory", "temperature", "data"]
    assert list(verdicts) == [*subjects, "daemon", "outbox", "port", "hub", "clock", "gateway"]
    assert len(done.stdout.splitlines()) == len(verdicts)
    assert "not running" in verdicts["daemon"].text


def test_a_configuration_that_is_refused_is_named(rig: Rig) -> None:
    rig.agent.config.write_text("[agent]\nheart_beat = 3\n")
    assert "heart_beat" in rig.complaint("configuration")


def test_before_enrolment_it_says_how_to_enrol(rig: Rig) -> None:
    assert "flip-agent enrol" in rig.complaint("identity")


def test_a_key_that_others_may_read_is_named(rig: Rig) -> None:
    with rig.well():
        (rig.agent.state / "device.key").chmod(0o644)
        assert "chmod 600" in rig.complaint("key")


def test_a_port_that_another_program_holds_is_named(rig: Rig) -> None:
    with rig.well(), socket.create_server(("127.0.0.1", rig.port)):
        assert f"port {rig.port}" in rig.complaint("port")


def test_a_hub_that_is_away_is_named(rig: Rig) -> None:
    with rig.well():
        rig.hub.stop()
        assert rig.hub.url in rig.complaint("hub")


def test_a_hub_that_takes_a_call_and_says_nothing_is_named_and_the_rest_is_looked_at(rig: Rig) -> None:
    with rig.well(), socket.create_server(("127.0.0.1", 0)) as silent:
        identity = load_identity(rig.agent.state)
        assert identity is not None
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        save_identity(rig.agent.state, msgspec.structs.replace(identity, hub_url=url))
        status, verdicts = rig.doctor()
    assert status == 1
    assert [subject for subject, verdict in verdicts.items() if not verdict.good] == ["hub"]
    assert url in verdicts["hub"].text


def test_a_damaged_identity_is_named_and_the_rest_is_looked_at(rig: Rig) -> None:
    with rig.well():
        (rig.agent.state / "identity.json").write_bytes(b"\0" * 300)
        assert "enrol URL --token T --again" in rig.complaint("identity")
        _, verdicts = rig.doctor()
        assert {"disk", "memory", "outbox", "port"} < set(verdicts)


def test_a_key_that_is_none_is_named(rig: Rig) -> None:
    with rig.well():
        (rig.agent.state / "device.key").write_bytes(os.urandom(300))
        assert "enrol URL --token T --again" in rig.complaint("key")


def test_a_clock_that_is_an_hour_late_is_named(rig: Rig) -> None:
    with rig.well():
        rig.hub.clock_ahead = 3600
        assert "s behind" in rig.complaint("clock")


def test_a_gateway_of_another_authority_is_named(rig: Rig) -> None:
    with rig.well():
        identity = load_identity(rig.agent.state)
        assert identity is not None
        other = make_authority().certificate.decode()
        save_identity(rig.agent.state, msgspec.structs.replace(identity, ca=other))
        assert "enrol --again" in rig.complaint("gateway")


def test_an_outbox_that_is_damaged_is_named(rig: Rig) -> None:
    with rig.well():
        (rig.agent.state / "outbox.db").write_bytes(b"SQLite format 3\0" + b"\xff" * 8192)
        before = (rig.agent.state / "outbox.db").read_bytes()
        _, verdicts = rig.doctor("--fix")
        assert "not for --fix" in verdicts["outbox"].text
        assert (rig.agent.state / "outbox.db").read_bytes() == before
        assert "begins anew when it starts" in rig.complaint("outbox")


def test_an_outbox_that_was_left_by_a_kill_is_sound_and_stays_as_it_is(rig: Rig) -> None:
    with rig.well():
        with rig.agent.running():
            until(lambda: "health" in rig.hub.kinds(), within=60)
        before = (rig.agent.state / "outbox.db").read_bytes()
        status, verdicts = rig.doctor()
        assert (status, verdicts["outbox"].state) == (0, "ok")
        assert (rig.agent.state / "outbox.db").read_bytes() == before


def test_with_a_daemon_it_tells_what_the_daemon_knows(rig: Rig) -> None:
    with rig.well(), rig.agent.running():
        until(lambda: (status := rig.agent.status()) and status.hub_connected, within=60)
        status, verdicts = rig.doctor("--fix")
        assert status == 0
        assert verdicts["daemon"].text == "running, mode normal"
        assert "port" not in verdicts, "the daemon's own processes hold it"


def test_fix_removes_what_nobody_needs_from_a_full_disk(
    rig: Rig, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(disk, "RESERVE", 2**62)
    with rig.well():
        old = rig.agent.state / "logs" / "serve.log.1"
        old.parent.mkdir()
        old.write_bytes(b"x" * 2**20)
        arguments = ["doctor", "--config", str(rig.agent.config)]
        assert main(arguments) == 1
        assert old.exists()
        assert main([*arguments, "--fix"]) == 1, "the disk is as full as before"
        assert not old.exists()
    assert "old logs removed (1.0 MiB)" in capsys.readouterr().out
