"""`flip-hub users`: who has an account, and what each may."""

import argparse
from pathlib import Path

from flip_hub.auth.permissions import Role
from flip_hub.commands.connection import the_people
from flip_hub.commands.output import say, show, when
from flip_hub.commands.parsing import AddParser, add_command, add_group, add_json
from flip_hub.commands.passwords import new_password
from flip_hub.users.schemas import AccountChange, NewAccount

ROLES = [role.value for role in Role]


def add_parser(add: AddParser) -> None:
    users = add_group(add, "users", "who has an account")
    add_json(add_command(users, "list", list_users, "every account"))
    made = add_command(users, "add", add_user, "make an account")
    made.add_argument("name", metavar="NAME")
    made.add_argument("--role", choices=ROLES, default=Role.VIEWER.value)
    _add_password_file(made)
    role = add_command(users, "role", set_role, "give another role; ends that person's sessions")
    role.add_argument("name", metavar="NAME")
    role.add_argument("role", choices=ROLES)
    for name, disabled, text in (
        ("disable", True, "let somebody log in no more; ends that person's sessions, and refuses the tokens"),
        ("enable", False, "let somebody log in again"),
    ):
        switch = add_command(users, name, set_disabled, text)
        switch.add_argument("name", metavar="NAME")
        switch.set_defaults(disabled=disabled)
    password = add_command(users, "password", reset_password, "set a password; ends that person's sessions")
    password.add_argument("name", metavar="NAME")
    _add_password_file(password)
    add_command(users, "remove", remove_user, "remove an account and its tokens").add_argument("name", metavar="NAME")


def list_users(options: argparse.Namespace) -> None:
    with the_people() as hub:
        users = hub.users()
    rows = [
        (each.username, each.role, "disabled" if each.disabled else "", each.provider, when(each.created_at))
        for each in users
    ]
    show(options, users, ("NAME", "ROLE", "STATE", "PROVIDER", "SINCE"), rows)


def add_user(options: argparse.Namespace) -> None:
    account = NewAccount(username=options.name, role=Role(options.role), password=new_password(options.password_file))
    with the_people() as hub:
        added = hub.add_user(account)
    say(f"{added.username} is {_a(added.role)}")


def set_role(options: argparse.Namespace) -> None:
    with the_people() as hub:
        changed = hub.change_user(options.name, AccountChange(role=Role(options.role)))
    say(f"{changed.username} is {_a(changed.role)} now")


def set_disabled(options: argparse.Namespace) -> None:
    with the_people() as hub:
        changed = hub.change_user(options.name, AccountChange(disabled=options.disabled))
    say(f"{changed.username} {'is disabled' if changed.disabled else 'may log in'}")


def reset_password(options: argparse.Namespace) -> None:
    password = new_password(options.password_file)
    with the_people() as hub:
        changed = hub.reset_password(options.name, password)
    say(f"{changed.username} has a new password, and is logged out everywhere")


def remove_user(options: argparse.Namespace) -> None:
    with the_people() as hub:
        removed = hub.remove_user(options.name)
    say(f"{removed.username} is removed")


def _add_password_file(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--password-file", type=Path, metavar="PATH", help="instead of asking for the password")


def _a(role: Role) -> str:
    return f"{'a' if role is Role.VIEWER else 'an'} {role}"
