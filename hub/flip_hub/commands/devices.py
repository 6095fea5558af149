"""`flip-hub devices`: the devices of the fleet."""

import argparse
import time
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path

import msgspec
from msgspec import UNSET

from flip_hub.commands import actions
from flip_hub.commands.connection import the_hub
from flip_hub.commands.files import read_file, write_public
from flip_hub.commands.output import say, show, when
from flip_hub.commands.parsing import AddParser, add_command, add_group, add_json
from flip_hub.devices.schemas import SUPERNODE, Device, DevicePatch
from flip_hub.enrolment.schemas import EnrolmentTokenRequest
from flip_runtime.errors import Rejected
from flip_wire.fleet import EnrolRequest, ReportedState
from flip_wire.health import NetworkUse


def add_parser(add: AddParser) -> None:
    devices = add_group(add, "devices", "the devices of the fleet")
    add_json(add_command(devices, "list", list_devices, "every device, with its state"))
    made = add_command(devices, "show", show_device, "one device, and what is wanted of it and not so yet")
    add_json(made).add_argument("id", metavar="ID")
    made = add_command(devices, "tag", tag_device, "name it for people and selections")
    made.add_argument("id", metavar="ID")
    made.add_argument("tags", nargs="*", metavar="TAG", help="all of its tags; none removes them")
    made.add_argument("--group", action="append", metavar="NAME", dest="groups", help="all of its groups")
    made.add_argument("--site", metavar="NAME")
    made = add_command(devices, "note", note_device, "write something down about it")
    made.add_argument("id", metavar="ID")
    made.add_argument("note", metavar="TEXT", help="in place of the note before; empty for none")
    made = add_command(devices, "clear-clone", clear_clone, "one of the two that have its key was stopped")
    made.add_argument("id", metavar="ID")
    actions.add_parser(devices)
    made = add_command(devices, "add", add_device, "enrol a key for Flower's own SuperNode, which has no flip-agent")
    made.add_argument("name", metavar="NAME", help="for people")
    made.add_argument(
        "--public-key", type=Path, required=True, metavar="FILE", help="P-384: ssh-keygen -t ecdsa -b 384"
    )
    made.add_argument("--folder", type=Path, default=Path(), metavar="PATH", help="where what it needs is written (.)")
    add_command(devices, "revoke", revoke_device, "shut a device out for good").add_argument("id", metavar="ID")


def list_devices(options: argparse.Namespace) -> None:
    with the_hub() as hub:
        devices = hub.devices()
    rows = [
        (device.id, device.name, device.status, when(device.last_seen), serving_text(device.reported))
        for device in devices
    ]
    show(options, devices, ("ID", "NAME", "STATUS", "LAST SEEN", "SERVES"), rows)


def show_device(options: argparse.Namespace) -> None:
    with the_hub() as hub:
        device = hub.device(options.id)
    show(options, device, (), [])
    if not options.json:
        for line in _lines(device):
            say(line)


def tag_device(options: argparse.Namespace) -> None:
    patch = DevicePatch(
        tags=options.tags,
        groups=UNSET if options.groups is None else options.groups,
        site=UNSET if options.site is None else options.site,
    )
    with the_hub() as hub:
        device = hub.patch_device(options.id, patch)
    say(f"{device.name}: tags {_listed(device.tags)}, groups {_listed(device.groups)}, site {device.site or 'none'}")


def note_device(options: argparse.Namespace) -> None:
    with the_hub() as hub:
        device = hub.patch_device(options.id, DevicePatch(note=options.note))
    say(f"the note of {device.name} is kept" if device.note else f"{device.name} has no note")


def clear_clone(options: argparse.Namespace) -> None:
    with the_hub() as hub:
        device = hub.clear_clone(options.id)
    say(f"{device.name} is not flagged any more; it is again if both go on")


def revoke_device(options: argparse.Namespace) -> None:
    with the_hub() as hub:
        device = hub.revoke(options.id)
    say(f"{device.name} is revoked")


def add_device(options: argparse.Namespace) -> None:
    """Enrols a key in a device's place, and says how Flower's own SuperNode joins with it."""
    from flip_hub.devices.keys import public_pem

    key = public_pem(read_file(options.public_key))
    ca, trusted = options.folder / "ca.pem", options.folder / "trusted-entities.yaml"
    for path in (ca, trusted):
        if path.exists():
            raise Rejected(f"{path} is there already", hint="name a folder of its own for this device: --folder PATH")
    with the_hub() as hub:
        token = hub.create_enrolment_token(EnrolmentTokenRequest(lifetime=600.0)).token
        request = EnrolRequest(token=token, name=options.name, public_key=key, agent_version=SUPERNODE)
        enrolled = hub.enrol(request)
    write_public(ca, enrolled.ca.encode())
    written = str(ca)
    command = f"flower-supernode --superlink {enrolled.fleet_address} --root-certificates {ca}"
    if enrolled.app_keys:  # all JSON is YAML
        write_public(trusted, msgspec.json.format(msgspec.json.encode(enrolled.app_keys)))
        command += f" --trusted-entities {trusted}"
        written += f" and {trusted}"
    say(f"{options.name} is enrolled as {enrolled.device_id}; {written} written")
    say("On it, with the private key in OpenSSH's format:")
    say(f"  {command} --auth-supernode-private-key FILE")


def _lines(device: Device) -> Iterator[str]:
    yield f"{device.name} ({device.id}): {device.status}"
    if device.unknown_since is not None:
        yield f"unknown since {when(device.unknown_since)}"
    yield f"last seen {when(device.last_seen)}, agent {device.agent_version}, wire version {device.wire_version}"
    yield f"site {device.site or 'none'}, tags {_listed(device.tags)}, groups {_listed(device.groups)}"
    if device.note:
        yield f"note: {device.note}"
    if device.clone is not None:
        two = " and ".join(f"{life.address or 'somewhere'} ({when(life.heard)})" for life in device.clone.lives)
        yield f"CLONE: two agents have its key since {when(device.clone.since)}: {two}"
    if device.health is not None and device.health.network is not None:
        yield _network(device.health.network)
    for each in device.differences:
        now = f"now {each.reported}" if each.reported else "nothing told"
        because = f": {each.because}" if each.because else ""
        yield f"wanted since {when(each.since)}: {each.what} {each.name} {each.wanted} ({now}){because}"


def _network(network: NetworkUse) -> str:
    passed = ", ".join(f"{use} {size / 2**20:.1f}" for use, size in network.passed.items() if size) or "nothing"
    left = f"{network.left / 2**20:.1f} of {network.limit / 2**20:.1f} MiB left"
    if network.until <= time.time():
        return f"{left} today (passed: {passed})"
    until, every = datetime.fromtimestamp(network.until).strftime("%H:%M"), network.pace / 60
    return f"bytes used up until {until}: {left} for alerts, and a heartbeat each {every:.0f} min (passed: {passed})"


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names) or "none"


def serving_text(reported: ReportedState | None) -> str:
    if reported is None:
        return ""
    serving = [f"{each.model} {each.version}" for each in reported.serving]
    refused = [f"not {each.model} {each.version}: {each.reason}" for each in reported.failures]
    return ", ".join([*serving, *refused])
