"""`flip-agent serve` with a socket that systemd holds: a restart refuses and drops nobody."""

import http.client
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from agent_rig import until

from flip_demo.ports import free_port

AS_SYSTEMD = """
import os, sys
os.dup2(int(sys.argv[1]), 3)
os.environ.update(LISTEN_FDS="1", LISTEN_PID=str(os.getpid()))
os.execv(sys.executable, [sys.executable, "-m", "flip_agent", "serve"])
"""


@contextmanager
def activated(state: Path, held: socket.socket, port: int) -> Generator[subprocess.Popen[bytes]]:
    environment = {"FLIP_AGENT__STATE": str(state), "FLIP_INFERENCE__PORT": str(port), "FLIP_INFERENCE__GRPC": "false"}
    notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    (state / "notify").unlink(missing_ok=True)
    notify.bind(str(state / "notify"))
    notify.settimeout(60)
    with notify, (state / "serve.log").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-c", AS_SYSTEMD, str(held.fileno())],
            env={**os.environ, **environment, "NOTIFY_SOCKET": str(state / "notify"), "WATCHDOG_USEC": "1000000"},
            pass_fds=(held.fileno(),),
            stderr=log,
        )
        try:
            if port == held.getsockname()[1]:
                assert notify.recv(100) == b"READY=1"
                until(lambda: notify.recv(100) == b"WATCHDOG=1")
            yield process
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(30)


class Caller(threading.Thread):
    """Asks without a pause; on one connection, or on a new one each time."""

    def __init__(self, port: int, *, keeps: bool) -> None:
        super().__init__()
        self._port, self._keeps = port, keeps
        self.answers, self.failures = 0, list[str]()
        self.done = threading.Event()

    def run(self) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=30)
        while not self.done.is_set():
            try:
                connection.request("GET", "/v2/health/live")
                response = connection.getresponse()
                response.read()
                if response.status != 200:
                    self.failures.append(str(response.status))
                self.answers += 1
                if not self._keeps or response.will_close:
                    connection.close()
            except (OSError, http.client.HTTPException) as error:
                self.failures.append(repr(error))
                connection.close()
        connection.close()


def test_a_restart_under_load_answers_every_request(folder: Path) -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=256) as held:
        port = held.getsockname()[1]
        callers = [Caller(port, keeps=number % 2 == 0) for number in range(6)]
        for _ in range(3):
            with activated(folder, held, port):
                if not callers[0].is_alive():
                    for caller in callers:
                        caller.start()
                before = [caller.answers for caller in callers]
                until(lambda before=before: all(c.answers > b + 20 for c, b in zip(callers, before, strict=True)))
        with activated(folder, held, port):
            for caller in callers:
                caller.done.set()
                caller.join(30)
    assert [caller.failures for caller in callers] == [[]] * len(callers)


def test_a_request_that_came_while_nobody_served_is_answered_by_the_next(folder: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as held:
        port = held.getsockname()[1]
        client = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        client.request("GET", "/v2/health/live")
        with activated(folder, held, port):
            assert client.getresponse().status == 200
        client.close()


def test_a_socket_that_the_settings_do_not_name_is_refused(folder: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as held, activated(folder, held, free_port()) as process:
        assert process.wait(60) == 78
        said = (folder / "serve.log").read_text()
    assert "systemd listens on 127.0.0.1:" in said
    assert "ListenStream=" in said
