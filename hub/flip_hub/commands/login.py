"""`flip-hub login`, `logout` and `sessions`: the session is kept in a file for the other commands."""

import argparse
from pathlib import Path

from flip_hub.commands.connection import STATE, logged_in, named_state, the_people
from flip_hub.commands.files import read_file
from flip_hub.commands.output import say, show, when
from flip_hub.commands.parsing import AddParser, add_command, add_group, add_json
from flip_hub.commands.passwords import known_password
from flip_hub.people_client import PeopleApi
from flip_hub.session_file import LOG_IN, SavedSession, forget_session, load_session, save_session
from flip_runtime.errors import Rejected


def add_parser(add: AddParser) -> None:
    made = add_command(add, "login", login, "log in to a hub; without it, commands speak to the one on this machine")
    made.add_argument("url", metavar="URL", help="for example https://hub.example.org:8000")
    made.add_argument("--username", required=True, metavar="NAME")
    made.add_argument("--password-file", type=Path, metavar="PATH", help="instead of asking for the password")
    made.add_argument("--ca", type=Path, metavar="PATH", help="ca.pem of the hub, where it has its own authority")
    made = add_command(add, "logout", logout, "end the session that login began")
    made.add_argument("--everywhere", action="store_true", help="and all others of the same person")

    sessions = add_group(add, "sessions", "where you are logged in")
    add_json(add_command(sessions, "list", list_sessions, "every session that goes on, newest first"))
    add_command(sessions, "end", end_session, "end one").add_argument("id", metavar="ID")


def login(options: argparse.Namespace) -> None:
    ca = "" if options.ca is None else read_file(options.ca).decode(errors="replace")
    with PeopleApi(options.url, ca=ca) as hub:
        session = hub.login(options.username, known_password(options.password_file))
        path = save_session(SavedSession(url=hub.url, session=session, ca=ca))
    say(f"logged in as {session.username} until {when(session.ends_at)}, session in {path}")
    if state := named_state():
        say(f"{STATE} is set: commands speak to the hub of {state}, not to this one, until you unset it")


def logout(options: argparse.Namespace) -> None:
    saved = load_session()
    if saved is None:
        raise Rejected("not logged in", hint=LOG_IN)
    with logged_in(PeopleApi, saved) as hub:
        try:
            if options.everywhere:
                hub.logout_everywhere()
            else:
                hub.logout(saved.session.refresh_token)
        finally:
            forget_session()  # also when the hub is gone: the session ends there by itself
    say(f"{saved.session.username} is logged out{' everywhere' if options.everywhere else ''}")


def list_sessions(options: argparse.Namespace) -> None:
    with the_people() as hub:
        sessions = hub.sessions()
    rows = [
        (each.id, when(each.begun_at), when(each.used_at), each.address, each.agent, "this" if each.current else "")
        for each in sessions
    ]
    show(options, sessions, ("ID", "BEGUN", "LAST USED", "FROM", "PROGRAM", ""), rows)


def end_session(options: argparse.Namespace) -> None:
    with the_people() as hub:
        hub.end_session(options.id)
    say(f"{options.id} has ended")
