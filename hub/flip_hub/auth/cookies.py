"""The browser's part of a session: the refresh token, in a cookie that no script can read and no other site can use.

All other calls carry their token in a header, which another site cannot set; so only the calls that read the cookie
need protection. Beside `SameSite=Strict` they want a header of ours, which a form cannot send and a script of another
site only with a permission (CORS) that this hub gives to nobody, and refuse what a browser says comes from elsewhere.
"""

import time
from typing import Any

from litestar import Request
from litestar.datastructures import Cookie

from flip_hub.auth.schemas import Session
from flip_hub.problem import Forbidden

NAME = "flip_refresh"
_PATH = "/api/v1/auth"
_HEADER = "Flip-Console"

AnyRequest = Request[Any, Any, Any]


def refresh_cookie(request: AnyRequest, session: Session) -> Cookie:
    return _cookie(request, session.refresh_token, int(session.ends_at - time.time()))


def no_cookie(request: AnyRequest) -> Cookie:
    """Takes it back."""
    return _cookie(request, "", 0)


def refresh_token_of(request: AnyRequest) -> str:
    """Empty without a cookie. Raises `Forbidden` when it may be another site that has the browser send it."""
    token = request.cookies.get(NAME, "")
    own = request.headers.get("Sec-Fetch-Site", "same-origin") == "same-origin"
    if token and not (own and _HEADER in request.headers):
        raise Forbidden("this call comes from another site", hint=f"send the header {_HEADER}: 1 from the console")
    return token


def _cookie(request: AnyRequest, value: str, seconds: int) -> Cookie:
    return Cookie(
        key=NAME,
        value=value,
        path=_PATH,
        max_age=seconds,
        httponly=True,
        samesite="strict",
        secure=request.url.scheme == "https",
    )
