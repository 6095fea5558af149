"""A server that others on the network reach: over TLS, by its names, for those who show the token, and nobody else."""

import asyncio
import contextlib
import http.client
import json
import ssl
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
import tritonclient.http as triton

from flip_demo.perceptron import expected
from flip_demo.ports import free_port
from flip_hub.certificates import make_authority, make_server
from inference_process import ServeProcess, infer_body, one_version

TOKEN = "correct-horse-battery-staple"
ROWS = np.random.RandomState(5).rand(4, 64).astype("f4")
INFER = "/v2/models/digits/infer"


def own_address() -> str:
    """Of this machine, and not loopback."""
    by_interface = psutil.net_if_addrs()
    for name, state in psutil.net_if_stats().items():
        for each in by_interface.get(name, []):
            if state.isup and each.family.name == "AF_INET" and not each.address.startswith("127."):
                return each.address
    pytest.skip("this machine has no address but loopback's")


class Reached:
    """The server as it is reached from the network."""

    def __init__(self, address: str, port: int, authority: Path) -> None:
        self.address = address
        self.port = port
        self.authority = authority

    def asks(self, method: str, path: str, body: object = None, **headers: str) -> tuple[int, Any, Any]:
        tls = ssl.create_default_context(cafile=str(self.authority))
        with contextlib.closing(http.client.HTTPSConnection(self.address, self.port, timeout=30, context=tls)) as link:
            link.request(method, path, json.dumps(body), headers)
            response = link.getresponse()
            return response.status, response.headers, json.loads(response.read())


@pytest.fixture(scope="module")
def server() -> Iterator[Reached]:
    """On all interfaces, with a token, a certificate and a name."""
    address = own_address()
    authority = make_authority()
    pair = make_server(authority, ["localhost", "127.0.0.1", address])
    with tempfile.TemporaryDirectory(prefix="flip-") as folder, asyncio.Runner() as runner:
        secrets = Path(folder, "secrets")
        secrets.mkdir(0o700)
        files = {"ca": authority.certificate, "certificate": pair.certificate, "key": pair.key, "token": TOKEN.encode()}
        for name, content in files.items():
            (secrets / name).write_bytes(content)
            (secrets / name).chmod(0o600)
        process = ServeProcess(
            Path(folder),
            free_port(),
            host="0.0.0.0",
            names='["camera-7.example"]',
            token_file=secrets / "token",
            certificate=secrets / "certificate",
            private_key=secrets / "key",
        )
        one_version(process.store)
        reached = Reached(address, process.port, secrets / "ca")

        async def answers() -> bool:
            try:
                status, _, _ = await asyncio.to_thread(reached.asks, "GET", "/v2/health/ready", **bearer())
            except OSError:
                return False
            return status == 200

        runner.run(process.child.start())
        try:
            runner.run(process.child.wait_until(answers, within=60))
            yield reached
        finally:
            runner.run(process.child.stop())


def bearer(token: str = TOKEN) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def test_who_shows_the_token_is_answered(server: Reached) -> None:
    status, _, answer = server.asks("POST", INFER, infer_body(ROWS), **bearer())
    assert status == 200
    assert np.allclose(np.array(answer["outputs"][0]["data"]).reshape(4, 10), expected(1, ROWS), atol=1e-5)


@pytest.mark.parametrize(
    "path", [INFER, "/predict", "/v2", "/v2/health/live", "/metrics", "/docs", "/v1/feedback", "/v2/repository/index"]
)
@pytest.mark.parametrize("headers", [{}, bearer("correct-horse-battery-stapl"), {"Authorization": TOKEN}])
def test_nobody_else_is_on_any_route(server: Reached, path: str, headers: dict[str, str]) -> None:
    for method in ("GET", "POST"):
        status, told, answer = server.asks(method, path, {}, **headers)
        assert (status, told["www-authenticate"]) == (401, "Bearer")
        assert "inference.token_file" in answer["hint"]
        assert TOKEN not in json.dumps(answer)


def test_its_names_are_those_that_are_listed(server: Reached) -> None:
    for host in ("camera-7.example", f"camera-7.example:{server.port}", f"{server.address}:{server.port}", "localhost"):
        assert server.asks("GET", "/v2", Host=host, **bearer())[0] == 200
    for host in ("camera-8.example", "192.0.2.250"):
        assert server.asks("GET", "/v2", Host=host, **bearer())[0] == 403
    assert server.asks("GET", "/v2", Origin="https://evil.example", **bearer())[0] == 403
    assert server.asks("GET", "/v2", Origin="https://camera-7.example", **bearer())[0] == 200


def test_tritons_client_comes_in_with_the_token(server: Reached) -> None:
    options: Any = {
        "ssl": True,
        "ssl_context_factory": lambda: ssl.create_default_context(cafile=str(server.authority)),
    }
    with triton.InferenceServerClient(f"{server.address}:{server.port}", **options) as client:
        tensor: Any = triton.InferInput("x", [4, 64], "FP32")
        tensor.set_data_from_numpy(ROWS)
        answer: Any = client.infer("digits", [tensor], headers=bearer())
        assert np.allclose(answer.as_numpy("y"), expected(1, ROWS), atol=1e-5)
        assert not client.is_server_live()


def test_nothing_is_said_in_clear_text(server: Reached) -> None:
    with contextlib.closing(http.client.HTTPConnection(server.address, server.port, timeout=30)) as link:
        link.request("GET", "/v2/health/live", headers=bearer())
        with pytest.raises((http.client.HTTPException, ConnectionError)):
            link.getresponse()


@pytest.mark.asyncio
async def test_it_does_not_start_on_a_network_without_a_token(folder: Path, port: int) -> None:
    public = ServeProcess(folder, port, host="0.0.0.0")
    await public.child.start()
    async with asyncio.timeout(60):
        assert await public.child.wait() == 78
    assert "set inference.token_file to a file with a secret" in public.log.read_text()
