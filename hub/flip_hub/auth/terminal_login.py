"""A command line elsewhere acts for a person who says so in the console: OAuth's device grant (RFC 8628).

The command line is given two codes. It keeps the long one, with which alone it can fetch a session; it shows the short
one, which somebody who is logged in confirms or refuses, once. Both are worth nothing ten minutes later.
"""

import hashlib
import secrets
import time

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from flip_hub.cluster.volatile import Volatile
from flip_hub.problem import Forbidden, NotFound, TooMany, Unauthorized

LIFETIME = 600.0
"""Seconds."""
POLL_EVERY = 2
"""Seconds between two questions of a command line that waits."""
AT_MOST = 20
"""Logins begun from one address, and codes tried by one user, in a minute."""

_LETTERS = "BCDFGHJKLMNPQRSTVWXZ"
"""Of RFC 8628, 6.1: they are not mixed up and make no words."""
_LENGTH = 8  # 20 ** 8 codes, of which a few are open


class TerminalLogin(Struct, frozen=True, kw_only=True):
    """A command line that asks to act for a person, as the person is shown it."""

    code: str
    """As the command line shows it."""
    address: str
    """Where it asks from."""
    expires_at: float


class Codes(Struct, frozen=True, kw_only=True):
    device: str
    """Secret of the command line."""
    user: str
    """Shown, as `BCDF-GHJK`."""


class _Login(Struct, frozen=True, kw_only=True):
    shown: TerminalLogin
    by: str = ""
    """Who has confirmed it."""
    refused: bool = False


class TerminalLogins:
    def __init__(self, volatile: Volatile) -> None:
        self._volatile = volatile

    async def begin(self, address: str) -> Codes:
        """`address` is what the person is shown of the command line. Raises `TooMany`."""
        await self._slow_down(f"from:{address}")
        letters = "".join(secrets.choice(_LETTERS) for _ in range(_LENGTH))
        codes = Codes(device=secrets.token_urlsafe(32), user=f"{letters[:4]}-{letters[4:]}")
        shown = TerminalLogin(code=codes.user, address=address, expires_at=time.time() + LIFETIME)
        key = _key(codes.device)
        await self._volatile.put(key, msgspec.json.encode(_Login(shown=shown)), LIFETIME)
        await self._volatile.put(_user_key(codes.user), key.encode(), LIFETIME)
        return codes

    async def shown(self, code: str, username: str) -> TerminalLogin:
        """What asks to act for `username`. Raises `NotFound`, or `TooMany` for who tries many codes."""
        await self._slow_down(f"by:{username}")
        key = await self._volatile.get(_user_key(code))
        login = None if key is None else await self._login(key.decode())
        if login is None:
            raise _no_such_code(code)
        return login.shown

    async def decide(self, code: str, username: str, *, confirmed: bool) -> TerminalLogin:
        """Raises `NotFound`, also when it was decided before, or `TooMany`."""
        await self._slow_down(f"by:{username}")
        key = await self._volatile.take(_user_key(code))
        login = None if key is None else await self._login(key.decode())
        if key is None or login is None:
            raise _no_such_code(code)
        decided = replace(login, by=username if confirmed else "", refused=not confirmed)
        left = login.shown.expires_at - time.time()
        await self._volatile.put(key.decode(), msgspec.json.encode(decided), max(left, 1.0))
        return login.shown

    async def claim(self, device_code: str) -> str:
        """Who has confirmed, once; empty while nobody has decided. Raises `Forbidden` or `Unauthorized`."""
        key = _key(device_code)
        login = await self._login(key)
        if login is None:
            raise Unauthorized("this login has run out", hint="begin again: flwr login")
        if not login.by and not login.refused:
            return ""
        if await self._volatile.take(key) is None:
            raise Unauthorized("this login was used already", hint="begin again: flwr login")
        if login.refused:
            raise Forbidden("this login was refused in the console", hint="was that a mistake? begin again")
        return login.by

    async def _login(self, key: str) -> _Login | None:
        value = await self._volatile.get(key)
        return None if value is None else msgspec.json.decode(value, type=_Login)

    async def _slow_down(self, who: str) -> None:
        if await self._volatile.count(f"terminal-login:{who}", 60.0) > AT_MOST:
            raise TooMany("too many logins of command lines", hint="wait a minute", retry_after=60.0)


def _key(device_code: str) -> str:
    return f"terminal-login:{hashlib.sha256(device_code.encode()).hexdigest()}"


def _user_key(code: str) -> str:
    letters = "".join(letter for letter in code.upper()[:20] if letter in _LETTERS)
    return f"terminal-login:code:{letters}"


def _no_such_code(code: str) -> NotFound:
    return NotFound(f"no command line waits with the code {code[:20]!r}", hint="begin again there: flwr login")
