"""Login: a name and a password are exchanged for a session, slowly for who guesses."""

from flip_hub.auth.passwords import Passwords
from flip_hub.auth.schemas import Login, Session
from flip_hub.auth.throttle import LoginThrottle
from flip_hub.auth.tokens import Tokens
from flip_hub.problem import Unauthorized
from flip_hub.users.store import UserStore


class AuthService:
    def __init__(self, users: UserStore, passwords: Passwords, tokens: Tokens, throttle: LoginThrottle) -> None:
        self._users = users
        self._passwords = passwords
        self._tokens = tokens
        self._throttle = throttle

    async def login(self, login: Login, address: str) -> Session:
        """Raises `Unauthorized`, which does not say whether the name exists, or `TooMany`."""
        user = await self._users.get(login.username)
        self._throttle.begin(address)
        if not await self._passwords.verify(login.password, None if user is None else user.password_hash):
            raise Unauthorized("wrong name or password", hint="flip-hub init made the first account")
        assert user is not None
        self._throttle.succeeded(address)
        return self._tokens.for_user(user.username, user.role)
