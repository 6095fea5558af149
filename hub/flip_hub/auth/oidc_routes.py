"""Login through a provider: the browser goes there and comes back, with a cookie that says it is the same.

These are pages for browsers, no calls of the API: they answer with a redirect.
"""

import hmac
from typing import Annotated, Any

from litestar import Controller, Request, get
from litestar.datastructures import Cookie
from litestar.di import NamedDependency
from litestar.params import FromQuery, QueryParameter
from litestar.response import Redirect

from flip_hub.auth.cookies import AnyRequest, refresh_cookie
from flip_hub.auth.oidc import WITHIN, OidcLogin
from flip_hub.auth.routes import client_of
from flip_hub.problem import Forbidden

CALLBACK = "/api/v1/auth/oidc/callback"
_PATH = "/api/v1/auth/oidc"
_STATE = "flip_oidc"


class OidcController(Controller):
    path = _PATH
    include_in_schema = False

    @get("/login", status_code=302)
    async def go_there(
        self, request: Request[Any, Any, Any], oidc: NamedDependency[OidcLogin], next: FromQuery[str] = "/"
    ) -> Redirect:
        """To the provider; `next` is the console's page to come back to."""
        address, state = await oidc.begin(_own(next))
        return Redirect(address, status_code=302, cookies=[_state_cookie(request, state, int(WITHIN))])

    @get("/callback", status_code=302)
    async def come_back(
        self,
        request: Request[Any, Any, Any],
        oidc: NamedDependency[OidcLogin],
        code: FromQuery[str] = "",
        brought: Annotated[str, QueryParameter(name="state")] = "",
        error: FromQuery[str] = "",
    ) -> Redirect:
        """From the provider; the session is in the console's cookie."""
        mine = request.cookies.get(_STATE, "")
        if not brought or not hmac.compare_digest(mine.encode(), brought.encode()):
            raise Forbidden("this login was not begun in this browser", hint="log in again")
        if error or not code:
            raise Forbidden(f"the login provider refused: {error[:100]}", hint="log in again")
        session, following = await oidc.finish(brought, code, client_of(request))
        cookies = [refresh_cookie(request, session), _state_cookie(request, "", 0)]
        return Redirect(following, status_code=302, cookies=cookies)


def _own(path: str) -> str:
    """A page of the console, and never another site."""
    return path if path.startswith("/") and not path.startswith(("//", "/\\")) else "/"


def _state_cookie(request: AnyRequest, state: str, seconds: int) -> Cookie:
    """`lax`: the provider's redirect back comes from another site."""
    return Cookie(
        key=_STATE,
        value=state,
        path=_PATH,
        max_age=seconds,
        httponly=True,
        samesite="lax",
        secure=request.url.scheme == "https",
    )
