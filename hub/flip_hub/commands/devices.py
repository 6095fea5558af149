"""`flip-hub devices`: the devices of the fleet; `enrolment-tokens`: how they join it."""

import argparse
from pathlib import Path

import msgspec

from flip_hub.commands.connection import the_hub
from flip_hub.commands.files import read_file, write_public
from flip_hub.commands.output import say, show, when
from flip_hub.commands.parsing import AddParser, add_command, add_group, add_json
from flip_wire.fleet import EnrolRequest, ReportedState


def add_parser(add: AddParser) -> None:
    tokens = add_group(add, "enrolment-tokens", "tokens by which devices join")
    made = add_command(tokens, "create", create_enrolment_token, "make a token for one device")
    made.add_argument("--lifetime", type=float, default=3600.0, metavar="SECONDS")
    add_json(made)

    devices = add_group(add, "devices", "the devices of the fleet")
    add_json(add_command(devices, "list", list_devices, "every device, with its state"))
    made = add_command(devices, "add", add_device, "enrol a key for Flower's own SuperNode, which has no flip-agent")
    made.add_argument("name", metavar="NAME", help="for people")
    made.add_argument(
        "--public-key", type=Path, required=True, metavar="FILE", help="P-384: ssh-keygen -t ecdsa -b 384"
    )
    made.add_argument("--folder", type=Path, default=Path(), metavar="PATH", help="where what it needs is written (.)")
    add_command(devices, "revoke", revoke_device, "shut a device out for good").add_argument("id", metavar="ID")


def create_enrolment_token(options: argparse.Namespace) -> None:
    with the_hub() as hub:
        token = hub.create_enrolment_token(options.lifetime)
        show(options, token, (), [])
        if not options.json:
            say(f"{token.token}\ngood until {when(token.expires_at)}, for one device:")
            say(f"  flip-agent enrol {hub.url} --token {token.token}")


def list_devices(options: argparse.Namespace) -> None:
    with the_hub() as hub:
        devices = hub.devices()
    rows = [
        (device.id, device.name, device.status, when(device.last_seen), serving_text(device.reported))
        for device in devices
    ]
    show(options, devices, ("ID", "NAME", "STATUS", "LAST SEEN", "SERVES"), rows)


def revoke_device(options: argparse.Namespace) -> None:
    with the_hub() as hub:
        device = hub.revoke(options.id)
    say(f"{device.name} is revoked")


def add_device(options: argparse.Namespace) -> None:
    """Enrols a key in a device's place, and says how Flower's own SuperNode joins with it."""
    from flip_hub.devices.keys import public_pem

    key = public_pem(read_file(options.public_key))
    with the_hub() as hub:
        token = hub.create_enrolment_token(600.0).token
        request = EnrolRequest(token=token, name=options.name, public_key=key, agent_version="flower-supernode")
        enrolled = hub.enrol(request)
    ca, trusted = options.folder / "ca.pem", options.folder / "trusted-entities.yaml"
    write_public(ca, enrolled.ca.encode())
    command = f"flower-supernode --superlink {enrolled.fleet_address} --root-certificates {ca}"
    if enrolled.app_keys:  # all JSON is YAML
        write_public(trusted, msgspec.json.format(msgspec.json.encode(enrolled.app_keys)))
        command += f" --trusted-entities {trusted}"
    say(f"{options.name} is enrolled as {enrolled.device_id}; on it, with the private key in OpenSSH's format:")
    say(f"  {command} --auth-supernode-private-key FILE")


def serving_text(reported: ReportedState | None) -> str:
    if reported is None:
        return ""
    serving = [f"{each.model} {each.version}" for each in reported.serving]
    refused = [f"not {each.model} {each.version}: {each.reason}" for each in reported.failures]
    return ", ".join([*serving, *refused])
