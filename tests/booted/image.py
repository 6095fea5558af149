"""The file system that all machines start from: made once by debootstrap, kept as an archive."""

import hashlib
import os
import shutil
from pathlib import Path

from booted.shell import Failed, run

FOLDER = Path(os.environ.get("FLIP_MACHINES", "/var/tmp/flip-test-machines"))
SUITE = "bookworm"
_PACKAGES = (
    *("systemd", "systemd-sysv", "dbus", "libnss-systemd", "python3", "python3-apt", "openssh-server", "iproute2"),
    *("ca-certificates", "curl", "nftables", "procps", "sudo", "man-db", "gnupg", "libcurl4"),
)
_QUIET = (
    *("systemd-firstboot.service", "getty@tty1.service", "console-getty.service", "systemd-resolved.service"),
    *("apt-daily.timer", "apt-daily-upgrade.timer", "e2scrub_all.timer", "fstrim.timer", "man-db.timer"),
    *("systemd-networkd-wait-online.service", "systemd-udevd.service", "systemd-udev-trigger.service"),
)
"""Units that need hardware, or would do something by themselves in the middle of a test."""
_INIT = """#!/bin/sh
# systemd-nspawn mounts the controllers of cgroup v1 read-only, and systemd then ignores limits without a word
for controller in /sys/fs/cgroup/*; do
    mountpoint -q "$controller" && mount -o remount,rw,bind "$controller" 2>/dev/null
done
exec /lib/systemd/systemd "$@"
"""
_HOST_KEY = """[Service]
ExecStartPre=
ExecStartPre=/bin/sh -c 'k=/etc/ssh/ssh_host_ed25519_key; test -e $$k || ssh-keygen -q -t ed25519 -N "" -f $$k'
ExecStartPre=/usr/sbin/sshd -t
"""


def image() -> Path:
    """The folder; it is unpacked, or made, when it is not there."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    key = hashlib.sha256(Path(__file__).read_bytes()).hexdigest()[:12]
    folder, archive = FOLDER / f"image-{key}", FOLDER / f"image-{key}.tar.zst"
    if not folder.exists():
        unfinished = folder.with_suffix(".unfinished")
        shutil.rmtree(unfinished, ignore_errors=True)
        if archive.exists():
            unfinished.mkdir()
            run("tar", "-C", unfinished, "--zstd", "--numeric-owner", "--xattrs", "-xpf", archive)
        else:
            _bootstrap(unfinished)
            _prepare(unfinished)
            run("tar", "-C", unfinished, "--zstd", "--numeric-owner", "--xattrs", "-cpf", f"{archive}.new", ".")
            Path(f"{archive}.new").replace(archive)
        unfinished.replace(folder)
    return folder


def client_key() -> Path:
    """With which tests log in to each machine by ssh."""
    key = FOLDER / "id"
    if not key.exists():
        FOLDER.mkdir(parents=True, exist_ok=True)
        run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key)
    return key


def _bootstrap(folder: Path) -> None:
    mirror = _mirror()
    included = ",".join(_PACKAGES)
    command = [
        "debootstrap",
        "--variant=minbase",
        f"--include={included}",
        SUITE,
        folder,
        *([mirror] if mirror else []),
    ]
    run(*command, within=1800)


def _mirror() -> str:
    """The host's own; empty: debootstrap's choice."""
    targets = run("apt-get", "indextargets", "--format", "$(RELEASE) $(REPO_URI)", "Created-By: Packages", check=False)
    for line in targets.stdout.splitlines():
        release, _, uri = line.partition(" ")
        if release == SUITE:
            return uri
    return ""


def _prepare(root: Path) -> None:
    """Quick, quiet and cloneable: no identity, no unit that a machine of this kind has no use for."""
    etc = root / "etc"
    (etc / "machine-id").write_text("")
    for path in (root / "var/lib/dbus/machine-id", etc / "resolv.conf", *(etc / "ssh").glob("ssh_host_*")):
        path.unlink(missing_ok=True)
    for package in (root / "var/cache/apt/archives").glob("*.deb"):
        package.unlink()
    for unit in _QUIET:
        link = etc / "systemd/system" / unit
        link.unlink(missing_ok=True)
        link.symlink_to("/dev/null")
    (etc / "apt/apt.conf.d/99test").write_text(
        'DPkg::Use-Pty "0"; APT::Install-Recommends "0"; Acquire::Languages "none";\nAcquire::http::Pipeline-Depth 0;\n'
    )
    (etc / "dpkg/dpkg.cfg.d/99test").write_text("force-unsafe-io\n")  # a test machine need not flush each file
    shutil.copy(f"{client_key()}.pub", root / "root/authorized_keys")
    (root / "root/.ssh").mkdir(mode=0o700, exist_ok=True)
    (root / "root/authorized_keys").rename(root / "root/.ssh/authorized_keys")
    (etc / "ssh/sshd_config.d").mkdir(exist_ok=True)
    (etc / "ssh/sshd_config.d/hostkey.conf").write_text("HostKey /etc/ssh/ssh_host_ed25519_key\n")  # RSA takes 14 s
    (etc / "systemd/system/ssh.service.d").mkdir(exist_ok=True)
    (etc / "systemd/system/ssh.service.d/keys.conf").write_text(_HOST_KEY)
    init = root / "sbin/machine-init"
    init.write_text(_INIT)
    init.chmod(0o755)
    if not (root / "usr/bin/python3.11").exists():
        raise Failed(f"{root} has no Python 3.11")
