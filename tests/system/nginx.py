"""A real nginx that runs the configuration we ship, with its addresses replaced by a test's."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from flip_runtime.child import Child, port_open

SHIPPED = Path(__file__).parents[2] / "packaging" / "nginx" / "flip-hub.conf"
_HOSTS = ("10.0.0.11", "10.0.0.12")


class Nginx:
    """`certificates` holds what `flip-hub certificate` writes; `ports` maps those that are listened on (443, 9092,
    9093); `hubs` has for each hub its own ports for 8000, 9092 and 9093."""

    def __init__(
        self, folder: Path, certificates: Path, ports: Mapping[int, int], hubs: Sequence[Mapping[int, int]]
    ) -> None:
        text = SHIPPED.read_text().replace("/etc/flip-hub", str(certificates)).replace("hub.example", "localhost")
        for public, port in ports.items():
            text = text.replace(f"listen {public} ssl", f"listen 127.0.0.1:{port} ssl")
        for host, hub in zip(_HOSTS, hubs, strict=True):
            for usual, port in hub.items():
                text = text.replace(f"{host}:{usual}", f"127.0.0.1:{port}")
        assert not re.search(r"10\.0\.0\.\d", text)
        (folder / "flip-hub.conf").write_text(text)
        config = folder / "nginx.conf"
        temporary = " ".join(
            f"{name}_temp_path {folder}/{name};" for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        )
        config.write_text(
            f"daemon off; pid {folder}/nginx.pid; error_log {folder}/nginx.log; worker_processes 1;\n"
            "events { worker_connections 1024; }\n"
            f"http {{ access_log off; {temporary} include {folder}/flip-hub.conf; }}\n"
        )
        self._ports = ports
        self._process = Child("nginx", ["/usr/sbin/nginx", "-c", str(config), "-p", str(folder)])

    async def start(self) -> None:
        await self._process.start()
        for port in self._ports.values():
            await self._process.wait_until(lambda port=port: port_open(port), within=30)

    async def stop(self) -> None:
        await self._process.stop()
