"""Login over HTTP."""

from typing import Any

from litestar import Controller, Request, get, post
from litestar.di import NamedDependency
from litestar.params import JSONBody

from flip_hub.auth.guards import anyone_known
from flip_hub.auth.schemas import Login, Me, Session
from flip_hub.auth.service import AuthService


class AuthController(Controller):
    path = "/api/v1/auth"
    tags = ("auth",)

    @post("/login", status_code=200)
    async def login(
        self, request: Request[Any, Any, Any], auth: NamedDependency[AuthService], data: JSONBody[Login]
    ) -> Session:
        """A name and a password for a bearer token. Guessing is answered 429."""
        return await auth.login(data, request.client.host if request.client else "")

    @get("/me", guards=[anyone_known])
    async def read_me(self, me: NamedDependency[Me]) -> Me:
        """Whose token this is."""
        return me
