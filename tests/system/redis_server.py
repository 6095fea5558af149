"""A real Redis for one test: its own port and folder, stopped and started at will."""

import subprocess
from pathlib import Path

from redis import Redis
from redis.exceptions import RedisError

from flip_demo.ports import free_port


class RedisServer:
    def __init__(self, folder: Path, password: str = "") -> None:
        self._folder = folder
        self._password = password
        self._process: subprocess.Popen[bytes] | None = None
        self.port = free_port()

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> None:
        command = ["redis-server", "--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
        command += ["--dir", str(self._folder), "--logfile", str(self._folder / "redis.log"), "--daemonize", "no"]
        if self._password:
            command += ["--requirepass", self._password]
        self._process = subprocess.Popen(command)
        with Redis(port=self.port, password=self._password or None) as client:
            while True:
                try:
                    client.ping()
                    return
                except (RedisError, OSError):
                    assert self._process.poll() is None, (self._folder / "redis.log").read_text()

    def stop(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None
