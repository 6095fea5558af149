"""`flip-hub init`: keys, the registry, the first admin. What is there already stays; running it again is harmless."""

import asyncio
import os
import re
import secrets
from pathlib import Path

from flip_hub.audit.build import audit_of
from flip_hub.auth.passwords import Passwords
from flip_hub.auth.permissions import Role
from flip_hub.auth.setup_code import SetupCode
from flip_hub.credentials import make_credentials
from flip_hub.mongo import DatabaseDown, Mongo
from flip_hub.registry.schema import prepare_registry
from flip_hub.settings import Settings
from flip_hub.users.store import UserStore, new_user
from flip_runtime.atomic import write_file
from flip_runtime.errors import ConfigError, Unavailable

_USERNAME = re.compile(r"[\w.@+-]{1,64}")


def found_hub(settings: Settings, admin: str | None, password_file: Path | None) -> list[str]:
    """Says in lines for people what was made and what was kept; one of them holds the password, if no file does.

    Without an admin's name there is a set-up code instead, by which the first one is made in the console.
    """
    if admin is not None and not _USERNAME.fullmatch(admin):
        raise ConfigError(f"{admin!r} is no name for a user", hint="letters, digits and . _ @ + -, at most 64")
    made = make_credentials(settings)
    state = settings.hub.state
    lines = [f"made in {state}: {', '.join(made)}" if made else f"kept the keys in {state}"]
    return lines + asyncio.run(_make_admin(settings, admin, password_file))


async def _make_admin(settings: Settings, admin: str | None, password_file: Path | None) -> list[str]:
    mongo = Mongo(settings.mongo)
    users = UserStore(mongo.database)
    try:
        await prepare_registry(mongo.database)
        known = await users.admins()
        if known:
            return [f"kept the admin {known[0]}"]
        if admin is None:
            code = SetupCode(settings.hub.state)
            code.make()
            return [f"no admin yet: the console makes one with the code in {code.path}"]
        password = secrets.token_hex(12)
        if password_file is not None:
            # The file first: a password that nobody knows would lock everybody out.
            _write_password(password_file, password)
        password_hash = await Passwords().hash(password)
        await users.add(new_user(admin, password_hash, Role.ADMIN))
        await audit_of(settings, mongo.database).note("init", actor=f"local:{os.getuid()}", subject=admin)
    except DatabaseDown as error:
        hint = "start it, or correct mongo.url, then run init again"
        raise Unavailable(f"MongoDB is not reachable at {mongo.server}", hint=hint) from error
    finally:
        mongo.close()
    where = f"password in {password_file}" if password_file is not None else f"password, shown only now: {password}"
    return [f"made the admin {admin}, {where}"]


def _write_password(path: Path, password: str) -> None:
    try:
        write_file(path, f"{password}\n".encode())
    except OSError as error:
        raise ConfigError(f"cannot write {path}: {error.strerror}", hint="correct --password-file") from error
