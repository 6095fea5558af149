"""`flip-hub login`: the session is kept in a file for the other commands."""

import argparse
import getpass
from pathlib import Path

from flip_hub.client import HubApi
from flip_hub.commands.files import read_file
from flip_hub.commands.output import say, when
from flip_hub.commands.parsing import AddParser, add_command
from flip_hub.session_file import SavedSession, save_session


def add_parser(add: AddParser) -> None:
    made = add_command(add, "login", login, "log in to a hub; the session is kept for the commands below")
    made.add_argument("url", metavar="URL", help="for example http://127.0.0.1:8000")
    made.add_argument("--username", required=True, metavar="NAME")
    made.add_argument("--password-file", type=Path, metavar="PATH", help="instead of asking for the password")


def login(options: argparse.Namespace) -> None:
    with HubApi(options.url) as hub:
        session = hub.login(options.username, _password(options.password_file))
        saved = SavedSession(url=hub.url, username=session.username, token=session.token, expires_at=session.expires_at)
    path = save_session(saved)
    say(f"logged in as {saved.username} until {when(saved.expires_at)}, session in {path}")


def _password(path: Path | None) -> str:
    return getpass.getpass("Password: ") if path is None else read_file(path).decode().strip()
