"""A real mongod on a machine, from the wheel that the demo uses, where MongoDB's own packages cannot be had."""

from booted.machine import Machine
from flip_demo.mongod import mongod_program

_UNIT = """[Unit]
Description=MongoDB
[Service]
ExecStart=/usr/bin/mongod --dbpath /var/lib/mongodb --bind_ip 127.0.0.1 --wiredTigerCacheSizeGB 0.25 --quiet
DynamicUser=yes
StandardOutput=null
StateDirectory=mongodb
Restart=always
[Install]
WantedBy=multi-user.target
"""


def install_mongod(machine: Machine) -> None:
    program = machine.root / "usr/bin/mongod"
    program.write_bytes(mongod_program().read_bytes())
    program.chmod(0o755)
    (machine.root / "etc/systemd/system/mongod.service").write_text(_UNIT)
    machine.run("systemctl", "daemon-reload")
    machine.run("systemctl", "enable", "--now", "mongod")
