"""Tokens for programs over HTTP; a token cannot make another."""

from litestar import Controller, delete, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody

from flip_hub.api_tokens.schemas import ApiToken, MadeApiToken, NewApiToken
from flip_hub.api_tokens.service import ApiTokenService
from flip_hub.auth.guards import needs
from flip_hub.auth.permissions import Permission
from flip_hub.auth.schemas import Me


class ApiTokenController(Controller):
    path = "/api/v1/tokens"
    tags = ("auth",)
    guards = (needs(Permission.ACCOUNT),)

    @get()
    async def list_tokens(
        self, api_tokens: NamedDependency[ApiTokenService], me: NamedDependency[Me]
    ) -> list[ApiToken]:
        """One's own, newest first; everybody's for who may manage accounts."""
        return await api_tokens.list(me)

    @post()
    async def make_token(
        self, api_tokens: NamedDependency[ApiTokenService], me: NamedDependency[Me], data: JSONBody[NewApiToken]
    ) -> MadeApiToken:
        """Shown only now."""
        return await api_tokens.make(data, me)

    @delete("/{token_id:str}", status_code=200)
    async def revoke_token(
        self, api_tokens: NamedDependency[ApiTokenService], me: NamedDependency[Me], token_id: FromPath[str]
    ) -> ApiToken:
        """It is refused from now on."""
        return await api_tokens.revoke(token_id, me)
