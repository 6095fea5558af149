"""One machine: a layer over the image that survives power cuts, a link, and systemd as its first process."""

import contextlib
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from booted.image import FOLDER, image
from booted.network import Link, Network
from booted.shell import Failed, Output, run

T = TypeVar("T")

_ENVIRONMENT = (
    *("PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "TERM=dumb", "LANG=C.UTF-8", "HOME=/root"),
    "DEBIAN_FRONTEND=noninteractive",
)
_SYSTEMD = "/usr/lib/systemd/systemd"


class Machine:
    """Use it as a context manager: it boots, and is thrown away at the end."""

    def __init__(self, name: str, network: Network, number: int, *options: str) -> None:
        """`number` is the last part of its address; `options` are systemd-nspawn's."""
        self.name = name
        self.address = network.address(number)
        self.link = Link(network, number)
        self._host = network.host
        self._options = options
        self._folder = FOLDER / f"machine-{name}"
        self.root = self._folder / "root"
        self._nspawn: subprocess.Popen[bytes] | None = None
        self._leader = 0
        self._cgroups: list[Path] = []

    def __enter__(self) -> "Machine":
        self._remove()
        for part in ("up", "work", "root"):
            (self._folder / part).mkdir(parents=True)
        layers = f"lowerdir={image()},upperdir={self._folder / 'up'},workdir={self._folder / 'work'}"
        run("mount", "-t", "overlay", f"flip-{self.name}", "-o", layers, self.root)
        (self.root / "etc/hostname").write_text(f"{self.name}\n")
        (self.root / "etc/hosts").write_text(f"127.0.0.1 localhost\n127.0.1.1 {self.name}\n{self._host} mirror\n")
        self.link.plug_in()
        self.boot()
        return self

    def __exit__(self, *_: object) -> None:
        self.cut_power()
        self.link.unplug()
        self._remove()

    # ---- power ----

    def boot(self) -> None:
        """Returns once systemd has settled."""
        command = [
            *("systemd-nspawn", "-q", "-D", str(self.root), f"--machine={self.name}", "--register=no", "--keep-unit"),
            *("--kill-signal=SIGRTMIN+3", "--console=read-only", "--link-journal=no", "--capability=CAP_NET_ADMIN"),
            *("--resolv-conf=copy-host", f"--network-namespace-path=/run/netns/{self.link.namespace}"),
            *(*self._options, "/sbin/machine-init"),
        ]
        with (self._folder / "console.log").open("ab") as console:
            self._nspawn = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=console,
                stderr=console,
                start_new_session=True,
                preexec_fn=self._enter_own_cgroups,
            )
        self._leader = self.until(self._find_leader, within=30, what="its systemd")
        self.until(lambda: self.succeeds("systemctl", "is-system-running", "--wait") or self._degraded(), within=60)

    def cut_power(self) -> None:
        """Everything ends at once; what was not on the disk is gone, as far as the host's kernel can play that."""
        if self._leader:
            self._end(signal.SIGKILL, self._leader)

    def shut_down(self) -> None:
        assert self._nspawn is not None
        self._end(signal.SIGTERM, self._nspawn.pid)  # nspawn passes on that it is to halt

    # ---- what goes on inside ----

    def run(self, *command: str, check: bool = True, within: float = 300.0, given: str | None = None) -> Output:
        entered = ("nsenter", "-t", str(self._leader), "-a", "--", "env", "-i", *_ENVIRONMENT)
        return run(*entered, *command, check=check, within=within, given=given)

    def out(self, *command: str, within: float = 300.0) -> str:
        return self.run(*command, within=within).stdout.strip()

    def sh(self, script: str, *, within: float = 300.0) -> str:
        return self.out("sh", "-ec", script, within=within)

    def succeeds(self, *command: str) -> bool:
        return self.run(*command, check=False).returncode == 0

    def as_unit(self, *command: str, within: float = 300.0) -> str:
        """In a cgroup of its own, with limits and journal."""
        return self.out("systemd-run", "-q", "--wait", "--pipe", "--collect", "--", *command, within=within)

    def shown(self, unit: str, name: str) -> str:
        """A property of a unit."""
        return self.out("systemctl", "show", "--value", "--property", name, unit)

    def journal(self, *options: str) -> str:
        return self.out("journalctl", "--no-pager", "--output=cat", *options)

    def until(self, condition: Callable[[], T], *, within: float = 60.0, what: str = "") -> T:
        """The first true value of the condition."""
        deadline = time.monotonic() + within
        while True:
            if found := condition():
                return found
            if time.monotonic() > deadline:
                raise Failed(f"{self.name}: {what or condition} not after {within:g} s; {self._last_words()}")
            time.sleep(0.1)

    def _last_words(self) -> str:
        if not self._leader:
            return (self._folder / "console.log").read_text(errors="replace")[-2000:]
        return self.run("journalctl", "--no-pager", "--lines=40", "--output=short", check=False).stdout

    def _degraded(self) -> bool:
        return self.run("systemctl", "is-system-running", check=False).stdout.strip() == "degraded"

    # ---- how it is held ----

    def _find_leader(self) -> int:
        """nspawn's first child is short-lived."""
        assert self._nspawn is not None
        for pid in run("pgrep", "-P", str(self._nspawn.pid), check=False).stdout.split():
            try:
                if os.readlink(f"/proc/{pid}/exe") == _SYSTEMD:
                    return int(pid)
            except OSError:
                continue
        return 0

    def _end(self, number: signal.Signals, pid: int) -> None:
        assert self._nspawn is not None
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)
        self._nspawn.wait(60)
        self._leader = 0

    def _enter_own_cgroups(self) -> None:
        """In the child, before it becomes nspawn: machines that share a cgroup could not be told apart."""
        for folder in self._own_cgroups():
            folder.mkdir(parents=True, exist_ok=True)
            (folder / "cgroup.procs").write_text(str(os.getpid()))

    def _own_cgroups(self) -> list[Path]:
        if not self._cgroups:
            base = Path("/sys/fs/cgroup")
            for line in Path("/proc/self/cgroup").read_text().splitlines():
                _, controllers, path = line.split(":", 2)
                if controllers == "cpuset":  # a new one is empty, and takes no process
                    continue
                name = controllers.removeprefix("name=")
                top = base / name if name else (base / "unified" if (base / "unified").is_dir() else base)
                self._cgroups.append(Path(f"{top}{path.rstrip('/')}") / f"flip-{self.name}")
        return self._cgroups

    def _end_earlier(self) -> None:
        """A machine of that name which a killed test run has left behind."""
        deadline = time.monotonic() + 30
        while left := [pid for folder in self._own_cgroups() for pid in _members(folder)]:
            if time.monotonic() > deadline:
                raise Failed(f"processes of an earlier machine {self.name} do not end: {left}")
            for pid in left:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            time.sleep(0.1)

    def _remove(self) -> None:
        self._end_earlier()
        run("umount", self.root, check=False)
        for folder in self._own_cgroups():
            for path in sorted((p for p in folder.rglob("*") if p.is_dir()), reverse=True):
                path.rmdir()
            if folder.is_dir():
                folder.rmdir()
        shutil.rmtree(self._folder, ignore_errors=True)


def _members(cgroup: Path) -> list[int]:
    """Processes in it and below."""
    found: list[int] = []
    for path in (cgroup, *cgroup.rglob("*")):
        with contextlib.suppress(OSError):
            found += [int(line) for line in (path / "cgroup.procs").read_text().split()]
    return [pid for pid in found if pid > 0]
