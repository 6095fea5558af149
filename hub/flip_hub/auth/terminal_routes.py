"""A person confirms or refuses what a command line elsewhere asks: to act for this person (`flwr login`)."""

from litestar import Controller, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath

from flip_hub.auth.guards import needs
from flip_hub.auth.permissions import Permission
from flip_hub.auth.schemas import Me
from flip_hub.auth.terminal_login import TerminalLogin, TerminalLogins


class TerminalLoginController(Controller):
    path = "/api/v1/auth/terminal-logins"
    tags = ("auth",)
    guards = (needs(Permission.ACCOUNT),)

    @get("/{code:str}")
    async def read_terminal_login(
        self, terminal_logins: NamedDependency[TerminalLogins], me: NamedDependency[Me], code: FromPath[str]
    ) -> TerminalLogin:
        """What asks with this code."""
        return await terminal_logins.shown(code, me.username)

    @post("/{code:str}/confirm", status_code=200)
    async def confirm_terminal_login(
        self, terminal_logins: NamedDependency[TerminalLogins], me: NamedDependency[Me], code: FromPath[str]
    ) -> TerminalLogin:
        """It is given a session of whoever confirms."""
        return await terminal_logins.decide(code, me.username, confirmed=True)

    @post("/{code:str}/refuse", status_code=200)
    async def refuse_terminal_login(
        self, terminal_logins: NamedDependency[TerminalLogins], me: NamedDependency[Me], code: FromPath[str]
    ) -> TerminalLogin:
        return await terminal_logins.decide(code, me.username, confirmed=False)
