"""flip-agent as a Debian package on a booted machine: installed, killed, hung, cut off, upgraded, rolled back, gone."""

import json
from collections.abc import Iterator

import pytest

from booted.agent import install, is_up, serves, version_of
from booted.machine import Machine
from booted.network import Network
from booted.packages import Packages

OLD, NEW, BROKEN = "1.0.0", "1.1.0", "1.2.0"
COMPLETE = """source /usr/share/bash-completion/completions/flip-agent
COMP_WORDS=(flip-agent enr) COMP_CWORD=1
$(complete -p flip-agent | sed "s/.*-F \\([^ ]*\\) .*/\\1/") flip-agent enr flip-agent
echo ${COMPREPLY[@]}"""
UNITS = ("flip-agent.service", "flip-inference@default.service")


@pytest.fixture(scope="module")
def machine(network: Network, packages: Packages) -> Iterator[Machine]:
    with Machine("device", network, 11) as machine:
        install(machine, packages.built("flip-agent", OLD))
        yield machine


def test_it_runs_serves_and_says_that_it_is_not_enrolled(machine: Machine) -> None:
    machine.until(lambda: is_up(machine) and serves(machine))
    assert "waiting for enrolment" in machine.shown("flip-agent", "StatusText")
    assert "not enrolled" in machine.out("flip-agent", "status")
    assert version_of(machine) == OLD
    assert machine.out("flip-agent", "--version") == OLD
    assert machine.sh("stat -c %U /proc/$(systemctl show --value -p MainPID flip-agent)") == "flip"
    assert machine.sh("find /var/lib/flip -not -user flip") == ""
    assert machine.sh("find /var/lib/flip -name '*onnx*'") == "", "nothing is kept to be sent to others"


def test_its_units_are_sound_and_little_exposed(machine: Machine) -> None:
    units = ("flip-agent", "flip-inference@default", "flip-train", "flip-safemode", "flip-update")
    assert machine.run("systemd-analyze", "verify", *(f"{unit}.service" for unit in units)).stderr == ""
    exposed = {
        unit: float(
            machine.sh(f"systemd-analyze security --no-pager {unit}.service | tail -1").split(":")[1].split()[0]
        )
        for unit in units
    }
    print(f"systemd-analyze security: {exposed}")
    assert exposed["flip-agent"] <= 1.5
    assert max(exposed[unit] for unit in ("flip-inference@default", "flip-train", "flip-safemode")) <= 2.0


def test_a_person_finds_manual_completion_and_what_it_is_made_of(machine: Machine) -> None:
    assert "flip-agent enrol" in machine.sh("man flip-agent | col -b")
    assert machine.run("bash", "-c", COMPLETE, check=False).stdout.split() == ["enrol"]
    made_of = json.loads(machine.sh("zcat /usr/share/doc/flip-agent/sbom.cdx.json.gz"))
    names = {component["name"].lower() for component in made_of["components"]}
    assert {"flwr", "onnxruntime", "flip-edge"} <= names
    assert not names & {"motor", "pymongo", "uv", "torch"}


def test_killed_or_hung_it_is_back_in_seconds(machine: Machine) -> None:
    for number, unit in enumerate(UNITS):
        pid = machine.shown(unit, "MainPID")
        machine.run("kill", "-9", pid)
        machine.until(lambda unit=unit, pid=pid: machine.shown(unit, "MainPID") not in (pid, "0"), within=15)
        machine.until(lambda: is_up(machine) and serves(machine), within=15)
        assert machine.shown(unit, "NRestarts") == "1", number
    # SIGSTOP: nobody sees it but the watchdog
    limit = float(machine.shown("flip-agent", "WatchdogUSec").removesuffix("s"))
    pid = machine.shown("flip-agent", "MainPID")
    machine.run("kill", "-STOP", pid)
    machine.until(lambda: machine.shown("flip-agent", "NRestarts") == "2", within=limit + 30)
    machine.until(lambda: is_up(machine))
    assert "watchdog" in machine.journal("-u", "flip-agent").lower()


def test_a_power_cut_costs_nothing(machine: Machine) -> None:
    machine.cut_power()
    machine.boot()
    machine.until(lambda: is_up(machine) and serves(machine))
    assert machine.succeeds("dpkg", "-V", "flip-agent")


def test_an_upgrade_under_load_fails_no_request_and_keeps_the_configuration(
    machine: Machine, packages: Packages
) -> None:
    machine.sh("echo '# mine' >> /etc/flip/agent.toml")
    machine.sh(
        "cat > /root/load.sh <<'E'\n"
        "while [ ! -e /root/enough ]; do\n"
        "  curl -sf -m 30 -o /dev/null http://127.0.0.1:8082/v2/health/live && echo ok || echo FAILED\n"
        "done > /root/answers\n"
        "E\n"
        "rm -f /root/enough; systemd-run -q --unit=load sh /root/load.sh"
    )
    machine.until(lambda: machine.sh("grep -c ok /root/answers || true") not in ("", "0"))
    install(machine, packages.built("flip-agent", NEW))
    machine.until(lambda: version_of(machine) == NEW and is_up(machine) and serves(machine))
    assert json.loads(machine.out("flip-agent", "status", "--json"))["reported"]["agent_version"] == NEW
    machine.sh("touch /root/enough; while systemctl -q is-active load; do sleep 0.1; done")
    answers = machine.out("cat", "/root/answers").split()
    print(f"{len(answers)} requests over an upgrade")
    assert len(answers) > 50
    assert "FAILED" not in answers
    assert machine.sh("tail -1 /etc/flip/agent.toml") == "# mine"
    assert machine.sh("ls /opt/flip-agent/versions /opt/flip-agent/slots").split() == [
        *("/opt/flip-agent/slots:", OLD, NEW),
        *("/opt/flip-agent/versions:", NEW),
    ]
    machine.until(lambda: not machine.succeeds("test", "-e", "/var/lib/flip-agent/probation.json"), within=120)
    assert json.loads(machine.out("cat", "/var/lib/flip-agent/update.json"))["state"] == "done"


def test_a_rollback_needs_neither_network_nor_dpkg(machine: Machine) -> None:
    machine.link.cut()
    assert f"back at {OLD}" in machine.out("flip-agent", "rollback")
    machine.until(lambda: version_of(machine) == OLD and is_up(machine) and serves(machine))
    machine.out("flip-agent", "rollback")
    machine.link.heal()
    machine.until(lambda: version_of(machine) == NEW and is_up(machine) and serves(machine))


def test_a_version_that_does_not_start_goes_back_by_itself(machine: Machine, packages: Packages) -> None:
    install(machine, packages.broken(BROKEN))
    machine.until(lambda: version_of(machine) == NEW and is_up(machine), within=180)
    told = json.loads(machine.out("cat", "/var/lib/flip-agent/update.json"))
    assert (told["version"], told["state"]) == (BROKEN, "rolled-back")
    assert told["reason"]
    machine.until(lambda: serves(machine))


def test_maintainer_scripts_may_run_twice(machine: Machine, packages: Packages) -> None:
    install(machine, packages.built("flip-agent", NEW))
    for _ in range(2):
        machine.run("/var/lib/dpkg/info/flip-agent.postinst", "configure", NEW)
    machine.until(lambda: is_up(machine) and serves(machine))
    assert version_of(machine) == NEW


def test_what_the_operator_has_disabled_stays_so(machine: Machine, packages: Packages) -> None:
    machine.run("systemctl", "disable", "--now", "flip-train.path", "flip-inference@default.socket")
    install(machine, packages.built("flip-agent", OLD))
    assert not machine.succeeds("systemctl", "is-enabled", "flip-train.path")
    assert not machine.succeeds("systemctl", "is-enabled", "flip-inference@default.socket")


def test_removal_keeps_configuration_and_state_and_purging_nothing_but_the_user(machine: Machine) -> None:
    machine.run("apt-get", "-qq", "-y", "remove", "flip-agent")
    assert machine.out("systemctl", "list-units", "--plain", "--no-legend", "flip-*.service") == ""
    assert machine.sh("ls -d /etc/flip/agent.toml /var/lib/flip/outbox.db") != ""
    assert not machine.succeeds("test", "-e", "/opt/flip-agent")
    machine.run("apt-get", "-qq", "-y", "purge", "flip-agent")
    elsewhere = " ".join(f"-not -path '{folder}/*'" for folder in ("/proc", "/sys", "/srv", "/var/cache/man"))
    left = machine.sh(f"find / -xdev \\( -name '*flip*' -o -user flip \\) {elsewhere}")
    assert left == ""
    assert machine.out("getent", "passwd", "flip").startswith("flip:")
    assert machine.out("systemctl", "is-system-running") == "running"
