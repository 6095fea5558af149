"""`flip-hub tokens`: for programs, a part of what a person may."""

import argparse

from flip_hub.api_tokens.schemas import GRANTED, NewApiToken
from flip_hub.auth.permissions import Permission
from flip_hub.commands.connection import the_people
from flip_hub.commands.output import say, show, when
from flip_hub.commands.parsing import AddParser, add_command, add_group, add_json

DAY = 86400.0


def add_parser(add: AddParser) -> None:
    tokens = add_group(add, "tokens", "tokens by which programs use the API")
    made = add_command(tokens, "create", create_token, "make a token; it is shown once")
    made.add_argument("name", metavar="NAME", help="what it is for")
    made.add_argument(
        *("--scope", "-s"),
        action="append",
        required=True,
        choices=sorted(each.value for each in GRANTED),
        metavar="PERMISSION",
        help=f"what it allows, may be given repeatedly: {', '.join(sorted(GRANTED))}",
    )
    made.add_argument("--days", type=float, default=90.0, metavar="N", help="until it expires (90; at most 366)")
    made.add_argument("--user", metavar="NAME", help="whose it shall be; others' are for admins")
    add_json(made)
    add_json(add_command(tokens, "list", list_tokens, "your tokens; everybody's for admins"))
    add_command(tokens, "revoke", revoke_token, "refuse a token from now on").add_argument("id", metavar="ID")


def create_token(options: argparse.Namespace) -> None:
    scope = [Permission(each) for each in options.scope]
    wanted = NewApiToken(name=options.name, scope=scope, lifetime=options.days * DAY, username=options.user)
    with the_people() as hub:
        made = hub.make_token(wanted)
    show(options, made, (), [])
    if not options.json:
        about = made.about
        say(f"{made.token}\nshown only now; {about.id} of {about.username}, until {when(about.expires_at)}")


def list_tokens(options: argparse.Namespace) -> None:
    with the_people() as hub:
        tokens = hub.tokens()
    rows = [
        (each.id, each.name, each.username, ", ".join(each.scope), when(each.expires_at), when(each.last_used))
        for each in tokens
    ]
    show(options, tokens, ("ID", "NAME", "OF", "SCOPE", "EXPIRES", "LAST USED"), rows)


def revoke_token(options: argparse.Namespace) -> None:
    with the_people() as hub:
        revoked = hub.revoke_token(options.id)
    say(f"{revoked.name} ({revoked.id}) is refused from now on")
