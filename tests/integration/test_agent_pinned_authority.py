"""A device joins by the fingerprint of the hub's authority: it trusts that one, from then on, and never gives its token
to anybody else."""

import asyncio
import contextlib
import ssl
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec
import pytest
import pytest_asyncio
from agent_rig import Agent

from core_hub import CoreHub, running_core
from flip_agent.identity import Identity, load_identity
from flip_demo.ports import free_port
from flip_hub.certificates import KeyPair, make_authority, make_server
from flip_hub.enrolment.schemas import EnrolmentToken


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def hub(mongo_url: str) -> AsyncGenerator[CoreHub]:
    """With TLS, certified by its own authority."""
    with TemporaryDirectory(prefix="flip-") as folder:
        async with running_core(Path(folder), mongo_url, tls=True) as hub:
            yield hub


pytestmark = pytest.mark.asyncio(loop_scope="module")


async def _token(hub: CoreHub) -> EnrolmentToken:
    answer = await hub.post("/api/v1/enrolment-tokens", {"lifetime": 60}, hub.as_user())
    return msgspec.json.decode(answer.content, type=EnrolmentToken)


async def _enrol(folder: Path, url: str, token: EnrolmentToken, name: str, *options: str) -> tuple[Agent, int, str]:
    agent = Agent(folder, heartbeat=1)
    done = await asyncio.to_thread(agent.call, "enrol", url, "--token", token.token, "--name", name, *options)
    return agent, done.returncode, done.stderr


@asynccontextmanager
async def in_between(hub: CoreHub, *, shows: bytes | None = None) -> AsyncGenerator[tuple[str, bytearray]]:
    """Somebody with a certificate of an authority of their own, who passes everything on, reads it, and may show
    another authority than the hub's. Gives their address, and what devices have said to them."""
    authority = make_authority()
    tls = _server_side(make_server(authority, ["127.0.0.1", "localhost"]))
    anybody = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    anybody.check_hostname, anybody.verify_mode = False, ssl.CERT_NONE
    heard = bytearray()

    async def passes_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            request = await reader.readuntil(b"\r\n\r\n")
            heard.extend(request)
            body = authority.certificate if shows == b"" else shows
            if body is not None:
                head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\n" % len(body)
                writer.write(head + body)
            else:
                theirs, ours = await asyncio.open_connection("127.0.0.1", hub.settings.hub.port, ssl=anybody)
                ours.write(request.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
                writer.write(await theirs.read())
                ours.close()
            await writer.drain()
        writer.close()

    server = await asyncio.start_server(passes_on, "127.0.0.1", port := free_port(), ssl=tls)
    async with server:
        yield f"https://127.0.0.1:{port}", heard


def _server_side(pair: KeyPair) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    with TemporaryDirectory() as folder:
        certificate, key = Path(folder) / "certificate", Path(folder) / "key"
        certificate.write_bytes(pair.certificate)
        key.write_bytes(pair.key)
        context.load_cert_chain(certificate, key)
    return context


async def test_the_fingerprint_in_the_command_is_enough_to_join_and_to_be_heard(folder: Path, hub: CoreHub) -> None:
    token = await _token(hub)
    assert token.url == hub.url
    agent, status, said = await _enrol(folder, hub.url, token, "pinned", "--ca-sha256", token.ca_sha256)
    assert status == 0, said
    identity = load_identity(agent.state)
    assert identity is not None
    assert identity.trusted == identity.api_ca == (hub.settings.hub.state / "ca.pem").read_text()
    with agent.running():
        async with asyncio.timeout(60):
            while (await hub.core.devices.get(identity.device_id)).reported is None:
                await asyncio.sleep(0.1)


async def test_another_fingerprint_is_refused_and_nothing_is_sent(folder: Path, hub: CoreHub) -> None:
    token = await _token(hub)
    agent, status, said = await _enrol(folder, hub.url, token, "wrong", "--ca-sha256", "0" * 64)
    assert status == 1
    assert "somebody may sit in between" in said
    assert token.ca_sha256 in said, "what was found, to compare"
    assert load_identity(agent.state) is None
    _, status, said = await _enrol(folder, hub.url, token, "right", "--ca-sha256", token.ca_sha256.upper())
    assert status == 0, f"the token was not used: {said}"


@pytest.mark.parametrize("shows", [None, b"", b"no certificate", b"-----BEGIN CERTIFICATE-----\n!\n"])
async def test_somebody_in_between_never_gets_the_token(folder: Path, hub: CoreHub, shows: bytes | None) -> None:
    """Also not one who shows the hub's true authority: its key is not theirs."""
    token = await _token(hub)
    async with in_between(hub, shows=shows) as (url, heard):
        agent, status, _ = await _enrol(folder, url, token, "in between", "--ca-sha256", token.ca_sha256)
    assert status == 1
    assert b"GET /api/v1/ca" in heard
    assert token.token.encode() not in heard
    assert load_identity(agent.state) is None


@pytest.mark.parametrize(
    ("url", "fingerprint", "reason"),
    [("http://127.0.0.1:1", "0" * 64, "https://"), ("https://127.0.0.1:1", "not hexadecimal", "64 hexadecimal")],
)
async def test_a_command_that_cannot_be_right_is_told_so(
    folder: Path, hub: CoreHub, url: str, fingerprint: str, reason: str
) -> None:
    _, status, said = await _enrol(folder, url, await _token(hub), "x", "--ca-sha256", fingerprint)
    assert status == 78
    assert reason in said


async def test_an_identity_of_the_version_before_goes_on_trusting_whom_it_did(folder: Path) -> None:
    old = b'{"device_id":"d","name":"n","hub_url":"https://h","fleet_address":"h:1","ca":"PEM"}'
    identity = msgspec.json.decode(old, type=Identity)
    assert identity.trusted == "PEM"
    assert msgspec.structs.replace(identity, api_ca="").trusted is None, "by those that the machine knows"
