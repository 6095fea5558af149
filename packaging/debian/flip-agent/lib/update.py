#!/usr/bin/python3 -I
"""Root's part of an update: installs the version that the agent asks for, watches over a new one, and goes back from
one that does no good. Nothing of FLIP is imported here: the new version may be broken.

    update              what flip-update.service runs; ends when there is nothing to do or to watch over
    update installed NEW OLD    postinst: NEW is on probation, OLD is what it would go back to
    update failed WHY   goes back from the version on probation; status 1 where none is

`REQUEST` is written by the agent, which has no rights: `install VERSION ATTEMPT`, or `settled VERSION`. Nothing else of
it is believed, and apt takes packages of the signed repository alone.
"""

import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

REQUEST = Path("/run/flip/update")
STATE = Path("/var/lib/flip-agent")
PROBATION = STATE / "probation.json"
RESULT = STATE / "update.json"
"""What the agent reads, and tells the hub."""
SLOTS = Path("/opt/flip-agent")
SOURCES = "/etc/apt/sources.list.d/flip.sources"
SETTLES_WITHIN = 900.0
"""Seconds of this machine's running that a version has for saying that it is well."""
LOOK_EVERY = 1.0
STARTS = 3
"""That a version on probation may take."""
APT = (
    *("apt-get", "--quiet=2", "--yes", "--no-install-recommends", "--allow-downgrades", "--no-remove"),
    *("-oDPkg::Lock::Timeout=300", "-oDpkg::Options::=--force-confold", "-oDpkg::Options::=--force-confdef"),
    *("-oAcquire::Retries=5", "-oDpkg::Use-Pty=0"),
)
VERSION = re.compile(r"[0-9][0-9A-Za-z.+~-]{0,63}")


def main(arguments: list[str]) -> int:
    STATE.mkdir(mode=0o755, exist_ok=True)
    match arguments:
        case []:
            work()
        case ["installed", new, old]:
            installed(new, old)
        case ["failed", why]:
            return 0 if go_back(why) else 1
        case _:
            print(__doc__, file=sys.stderr)
            return 2
    return 0


def work() -> None:
    """One thing after the other, until there is no more."""
    mend_dpkg()
    while True:
        if (on_probation := read(PROBATION)) is not None:
            watch_over(on_probation)
        elif (request := requested()) is not None:
            install(*request)
        else:
            return


def mend_dpkg() -> None:
    """After a power cut in the middle of an installation."""
    if output(["dpkg", "--audit"]):
        run(["dpkg", "--force-confold", "--force-confdef", "--configure", "-a"], within=1800)


def requested() -> tuple[str, int] | None:
    """Version and attempt, if they are news."""
    words = said()
    if len(words) != 3 or words[0] != "install" or not VERSION.fullmatch(words[1]) or not words[2].isdecimal():
        return None
    version, attempt = words[1], int(words[2])
    last = read(RESULT) or {}
    if (last.get("version"), last.get("attempt")) == (version, attempt) or version == running():
        return None
    return version, attempt


def install(version: str, attempt: int) -> None:
    tell(version, attempt, "installing", "")
    only = (f"-oDir::Etc::sourcelist={SOURCES}", "-oDir::Etc::sourceparts=-", "-oAPT::Get::List-Cleanup=0")
    for command in ([*APT, *only, "update"], [*APT, "install", f"flip-agent={version}"]):
        status, complaint = run(command, within=6 * 3600)
        if status != 0:
            tell(version, attempt, "failed", complaint)
            return
    # postinst has put it on probation; the attempt is known here alone
    if (now := read(PROBATION)) is not None:
        write(PROBATION, {**now, "attempt": attempt})
        tell(version, attempt, "probation", "")
    else:
        tell(version, attempt, "done", "")


def installed(new: str, old: str) -> None:
    write(PROBATION, {"version": new, "previous": old, "attempt": 0, "uptime": uptime(), "boot": boot()})
    tell(new, 0, "probation", "")


def watch_over(version: dict[str, object]) -> None:
    """Until it says that it is well, or has shown that it is not."""
    # a machine that was switched off has not had its time: it begins anew with each boot
    since = float(str(version["uptime"])) if version.get("boot") == boot() else uptime()
    write(PROBATION, {**version, "uptime": since, "boot": boot()})
    starts_before = starts()
    while True:
        now = read(PROBATION)
        if now is None or now["version"] != version["version"]:
            return  # another one was installed
        if running() != version["version"]:
            PROBATION.unlink()
            tell(str(version["version"]), int(str(now["attempt"])), "rolled-back", "by hand")
            return
        if said() == ["settled", version["version"]]:
            PROBATION.unlink()
            tell(str(version["version"]), int(str(now["attempt"])), "done", "")
            return
        if starts() - starts_before >= STARTS:
            go_back(f"it ended {STARTS} times")
        elif uptime() - since > SETTLES_WITHIN:
            go_back(f"it did not say that it is well within {SETTLES_WITHIN / 60:.0f} minutes")
        else:
            time.sleep(LOOK_EVERY)


def go_back(why: str) -> bool:
    """False where no version is on probation, or there is none to go back to."""
    version = read(PROBATION)
    if version is None or running() != version["version"]:
        return False
    PROBATION.unlink()
    status, complaint = run(["/usr/lib/flip-agent/rollback", "--reason", why], within=300)
    state, reason = ("rolled-back", why) if status == 0 else ("failed", f"{why}; no way back: {complaint}")
    tell(str(version["version"]), int(str(version["attempt"])), state, reason)
    return status == 0


def running() -> str:
    return os.path.basename(os.readlink(SLOTS / "current"))


def starts() -> int:
    """Of the agent, after failures; a start by hand begins anew."""
    return int(output(["systemctl", "show", "--value", "--property=NRestarts", "flip-agent.service"]) or 0)


def said() -> list[str]:
    """What the agent has asked for last."""
    try:
        with REQUEST.open("rb") as file:
            return file.read(200).decode("ascii", errors="replace").split()
    except OSError:
        return []


def tell(version: str, attempt: int, state: str, reason: str) -> None:
    write(RESULT, {"version": version, "attempt": attempt, "state": state, "reason": reason, "at": time.time()})
    print(f"{version}: {state} {reason}".rstrip(), flush=True)


def run(command: list[str], within: float) -> tuple[int, str]:
    """Status, and its last complaint."""
    try:
        done = subprocess.run(
            command,
            timeout=within,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            env={**os.environ, "DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C.UTF-8"},
        )
    except subprocess.TimeoutExpired:
        return 124, f"{command[0]} took longer than {within:.0f} s"
    lines = [line for line in done.stderr.splitlines() if line.startswith("E:")] or done.stderr.splitlines()
    return done.returncode, "; ".join(lines)[-500:]


def output(command: list[str]) -> str:
    return subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60).stdout.strip()


def uptime() -> float:
    return time.clock_gettime(time.CLOCK_MONOTONIC)


def boot() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def read(path: Path) -> dict[str, object] | None:
    try:
        return json.loads(path.read_text())
    except (OSError, ValueError):
        return None


def write(path: Path, content: dict[str, object]) -> None:
    """Durable before it counts."""
    new = path.with_suffix(".new")
    with new.open("w") as file:
        json.dump(content, file)
        file.flush()
        os.fsync(file.fileno())
    new.replace(path)
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
