"""The Fleet client against a hub that misbehaves: what is tried again, what is given up, whose clock counts."""

import base64
import threading
import time
from collections.abc import Generator
from datetime import datetime
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import cast

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from flip_agent.federation.fleet_client import HOLD, FleetClient
from flip_agent.federation.flower import Instruction
from flip_agent.federation.node_auth import NodeAuth
from flip_runtime.errors import Rejected, Unavailable

INSTRUCTION = Instruction(run_id="1", node_id="7", message_id="ab", message=b"", tree=b"")


class Hub(HTTPServer):
    """Answers with what the test says, and keeps the headers it was sent."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answering)
        self.status = 200
        self.body = b""
        self.answer_headers: dict[str, str] = {}
        self.clock_ahead = 0.0
        """Seconds; with it the hub checks the signature's time as Flower does."""
        self.heard: list[dict[str, str]] = []

    def status_for(self, headers: dict[str, str]) -> int:
        signed_at = datetime.fromisoformat(headers["flwr-timestamp"]).timestamp()
        return self.status if -5 < time.time() + self.clock_ahead - signed_at < 305 else 401


class Answering(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        hub = cast(Hub, self.server)
        self.rfile.read(int(self.headers["content-length"]))
        headers = {name.lower(): value for name, value in self.headers.items()}
        hub.heard.append(headers)
        self.send_response(hub.status_for(headers))
        for name, value in hub.answer_headers.items():
            self.send_header(name, value)
        self.send_header("Flip-Time", str(time.time() + hub.clock_ahead))
        self.send_header("Content-Length", str(len(hub.body)))
        self.end_headers()
        self.wfile.write(hub.body)

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def hub() -> Generator[Hub]:
    with Hub() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def fleet(hub: Hub) -> Generator[FleetClient]:
    key = ec.generate_private_key(ec.SECP384R1()).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    client = FleetClient(f"127.0.0.1:{hub.server_port}", NodeAuth(key), "")
    yield client
    client.close()


def test_a_pull_asks_the_gateway_to_hold_it_and_is_signed(hub: Hub, fleet: FleetClient) -> None:
    assert fleet.pull("7") is None
    (headers,) = hub.heard
    assert headers["flip-wait"] == str(HOLD)
    assert base64.b64decode(headers["flwr-public-key"]).startswith(b"-----BEGIN PUBLIC KEY-----")
    assert headers["flwr-signature"]


@pytest.mark.parametrize("ahead", [-4000.0, 4000.0])
def test_a_wrong_clock_is_corrected_by_the_hubs_and_the_call_sent_once_more(
    hub: Hub, fleet: FleetClient, ahead: float
) -> None:
    hub.clock_ahead = ahead
    assert fleet.pull("7") is None
    assert len(hub.heard) == 2
    assert fleet.pull("7") is None
    assert len(hub.heard) == 3  # remembered


def test_a_401_that_is_not_the_clocks_fault_is_not_repeated_at_once(hub: Hub, fleet: FleetClient) -> None:
    hub.status = 401
    with pytest.raises(Unavailable, match="401"):
        fleet.pull("7")
    assert len(hub.heard) == 1


@pytest.mark.parametrize("status", [401, 408, 425, 429, 500, 502, 503, 504])
def test_what_time_may_heal_is_unavailable(hub: Hub, fleet: FleetClient, status: int) -> None:
    hub.status, hub.answer_headers = status, {"Retry-After": "3"}
    with pytest.raises(Unavailable) as caught:
        fleet.confirm(INSTRUCTION)
    assert caught.value.retry_after == 3.0


@pytest.mark.parametrize("status", [400, 403, 404, 412])
def test_what_time_does_not_heal_is_rejected(hub: Hub, fleet: FleetClient, status: int) -> None:
    hub.status, hub.body = status, b'{"code": 2007, "detail": "the run has finished"}'
    with pytest.raises(Rejected, match="the run has finished"):
        fleet.confirm(INSTRUCTION)


@pytest.mark.parametrize("status", [400, 403, 404, 412])
def test_a_refusal_that_is_not_flower_s_says_nothing_of_the_run(hub: Hub, fleet: FleetClient, status: int) -> None:
    hub.status, hub.body = status, b"<html>not in this hotel</html>"
    with pytest.raises(Unavailable):
        fleet.confirm(INSTRUCTION)


def test_an_answer_that_is_no_protobuf_is_unavailable(hub: Hub, fleet: FleetClient) -> None:
    hub.body = b"<html>Log in to the hotel's network</html>"
    with pytest.raises(Unavailable, match="Invalid protobuf"):
        fleet.pull("7")


def test_a_hub_that_is_away_is_unavailable(hub: Hub, fleet: FleetClient) -> None:
    hub.server_close()
    with pytest.raises(Unavailable):
        fleet.pull("7")


def test_a_node_that_flower_does_not_know_must_join_again(hub: Hub, fleet: FleetClient) -> None:
    hub.status = 401
    assert fleet.renew("7") is False


def test_an_object_that_is_gone_is_rejected(hub: Hub, fleet: FleetClient) -> None:
    with pytest.raises(Rejected, match="gone"):  # an empty PullObjectResponse says: not found
        fleet.pull_object(INSTRUCTION, "ab")


def test_an_object_damaged_on_its_way_is_fetched_again(hub: Hub, fleet: FleetClient) -> None:
    hub.body = b"\x08\x01\x10\x01\x1a\x03abc"  # found, available, content "abc"
    with pytest.raises(Unavailable, match="damaged"):
        fleet.pull_object(INSTRUCTION, "00")
