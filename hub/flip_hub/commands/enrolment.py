"""`flip-hub enrolment-tokens`: how devices join the fleet."""

import argparse

from flip_hub.commands.connection import the_hub
from flip_hub.commands.output import say, show, when
from flip_hub.commands.parsing import AddParser, add_command, add_group, add_json
from flip_hub.enrolment.schemas import EnrolmentTokenRequest, ListedToken


def add_parser(add: AddParser) -> None:
    tokens = add_group(add, "enrolment-tokens", "tokens by which devices join")
    made = add_command(tokens, "create", create, "make a token, and show the command that enrols a device with it")
    made.add_argument("--lifetime", type=float, default=3600.0, metavar="SECONDS")
    made.add_argument("--uses", type=int, default=1, metavar="N", help="devices that may enrol with it (1)")
    made.add_argument("--site", default="", metavar="NAME", help="where the devices are")
    made.add_argument("--tag", action="append", default=[], metavar="TAG", dest="tags", help="of the devices")
    made.add_argument("--note", default="", metavar="TEXT")
    add_json(made)
    add_json(add_command(tokens, "list", show_all, "those that are good, and those of the last week that are not"))
    add_command(tokens, "revoke", revoke, "enrol no more devices with it").add_argument("id", metavar="ID")


def create(options: argparse.Namespace) -> None:
    wanted = EnrolmentTokenRequest(
        lifetime=options.lifetime, uses=options.uses, site=options.site, tags=options.tags, note=options.note
    )
    with the_hub() as hub:
        token = hub.create_enrolment_token(wanted)
        show(options, token, (), [])
        if not options.json:
            devices = "one device" if token.uses == 1 else f"{token.uses} devices"
            pin = f" --ca-sha256 {token.ca_sha256}" if token.ca_sha256 else ""
            url = token.url if hub.local else hub.url
            say(f"{token.token}\ngood until {when(token.expires_at)}, for {devices}:")
            say(f"  flip-agent enrol {url} --token {token.token}{pin}")
            if token.install_sha256:
                insecure = "k" if pin else ""
                say("and on one without flip-agent (Debian, Ubuntu):")
                say(
                    f"  curl -fsS{insecure} {url}/install.sh -o flip-install.sh"
                    f" && echo '{token.install_sha256}  flip-install.sh' | sha256sum -c --quiet"
                    f" && sudo sh flip-install.sh --hub {url} --token {token.token}{pin}"
                )


def show_all(options: argparse.Namespace) -> None:
    with the_hub() as hub:
        tokens = hub.enrolment_tokens()
    rows = [
        (
            *(token.id, f"{token.left} of {token.uses}", _until(token), token.site, ",".join(token.tags)),
            *(token.created_by, token.note),
        )
        for token in tokens
    ]
    show(options, tokens, ("ID", "LEFT", "GOOD UNTIL", "SITE", "TAGS", "MADE BY", "NOTE"), rows)


def revoke(options: argparse.Namespace) -> None:
    with the_hub() as hub:
        token = hub.revoke_enrolment_token(options.id)
    say(f"{token.id} is revoked; {token.uses - token.left} of {token.uses} uses were made")


def _until(token: ListedToken) -> str:
    return when(token.expires_at) if token.revoked_at is None else f"revoked {when(token.revoked_at)}"
