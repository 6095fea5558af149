"""One call to a hub's API: over its port or the socket on its own machine, as somebody with a login or a token.

Raises `Rejected` with the hub's reason and hint, and `Unavailable` when asking again later may help.
"""

import ssl
import threading
import time
from collections.abc import Callable, Generator, Mapping
from http import HTTPStatus
from pathlib import Path
from types import MappingProxyType
from typing import Any, Self, TypeVar
from urllib.parse import quote, urlsplit

import httpx
import msgspec

from flip_hub.auth.schemas import Login, Refresh, Session
from flip_runtime.errors import ConfigError, Rejected, Unavailable
from flip_runtime.patience import retry_after
from flip_runtime.trace import next_trace
from flip_wire.problem import Problem

T = TypeVar("T")

TIMEOUT = httpx.Timeout(60.0, connect=5.0)
"""Seconds; a model's file is on its way for a while."""
PAGE = 1000
"""Items that are asked for at once of a list."""
EARLY = 30.0
"""Seconds before its end that a token is renewed."""

Renew = Callable[["HubCalls", Session], Session]
"""The session that follows this one. Raises `Rejected` when it is over."""


class HubCalls:
    """`url` of the hub, `token` of a program; `ca` is PEM, of the authority to trust. Without a token only `login`."""

    def __init__(self, url: str, token: str | None = None, *, ca: str = "", socket: Path | None = None) -> None:
        self.url = url.rstrip("/")
        self.local = socket is not None
        """Whether it is the hub of this machine, over its own socket."""
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        transport = httpx.HTTPTransport(uds=None if socket is None else str(socket), verify=_trust(ca))
        self._http = httpx.Client(
            base_url=self.url, headers=headers, timeout=TIMEOUT, trust_env=False, transport=transport
        )

    @classmethod
    def on_this_machine(cls, socket: Path) -> Self:
        """As the system's user who asks; it must be root or the hub's own."""
        return cls("http://localhost", socket=socket)

    @classmethod
    def logged_in(cls, url: str, username: str, password: str) -> Self:
        """And stays so: the login is renewed, and made anew when the hub has forgotten it."""
        hub = cls(url)
        hub.bear(hub.login(username, password), lambda calls, _: calls.login(username, password))
        return hub

    def bear(self, session: Session, renew: Renew) -> None:
        """Makes every call in this session from now on, and in those that follow it."""
        self._http.auth = _SessionAuth(session, lambda stale: renew(self, stale))

    def login(self, username: str, password: str) -> Session:
        return self._alone("/api/v1/auth/login", Login(username=username, password=password))

    def refresh(self, refresh_token: str) -> Session:
        return self._alone("/api/v1/auth/refresh", Refresh(refresh_token=refresh_token))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._http.close()

    def _get(self, path: str, kind: type[T]) -> T:
        return self._decoded(self._send("GET", path), kind)

    def _all(self, path: str, item: type[T]) -> list[T]:
        """The whole list, page by page."""
        found: list[T] = []
        following = f"{path}{'&' if '?' in path else '?'}limit={PAGE}"
        while following:
            answer = self._send("GET", following)
            found += self._decoded(answer, list[item])
            following = _on_the_hub(answer.links.get("next", {}).get("url", ""))
        return found

    def _post(self, path: str, kind: type[T], body: msgspec.Struct | bytes | None = None) -> T:
        return self._decoded(self._send("POST", path, body), kind)

    def _delete(self, path: str, kind: type[T]) -> T:
        return self._decoded(self._send("DELETE", path), kind)

    def _alone(self, path: str, body: msgspec.Struct) -> Session:
        return self._decoded(self._send("POST", path, body, auth=None), Session)

    def _send(
        self,
        method: str,
        path: str,
        body: msgspec.Struct | bytes | None = None,
        auth: Any = httpx.USE_CLIENT_DEFAULT,
        more: Mapping[str, str] = MappingProxyType({}),
    ) -> httpx.Response:
        """With the headers `more`, too."""
        content = msgspec.json.encode(body) if isinstance(body, msgspec.Struct) else body
        media_type = "application/octet-stream" if isinstance(body, bytes) else "application/json"
        headers = {"traceparent": next_trace().traceparent()}
        if content is not None:
            headers["Content-Type"] = media_type
        headers |= more
        try:
            answer = self._http.request(method, path, content=content, headers=headers, auth=auth)
        except httpx.TransportError as error:
            hint = "is flip-hub serve running, and is the address right?"
            if "CERTIFICATE_VERIFY_FAILED" in str(error):
                hint = "name the hub's own authority: flip-hub login URL --ca ca.pem (hub.state/ca.pem on its machine)"
            elif "WRONG_VERSION_NUMBER" in str(error):
                hint = "it does not speak TLS there: http:// instead of https://"
            raise Unavailable(f"the hub at {self.url} does not answer: {error}", hint=hint) from error
        except (httpx.InvalidURL, httpx.UnsupportedProtocol) as error:
            raise Rejected(f"{self.url} is no address of a hub: {error}", hint="http://HOST:PORT") from error
        if not answer.is_success:
            raise _refusal(answer)
        return answer

    def _decoded(self, answer: httpx.Response, kind: type[T]) -> T:
        try:
            return msgspec.json.decode(answer.content, type=kind)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            hint = f"is {self.url} a FLIP hub of this version?"
            raise Rejected("the answer is not what was asked for", hint=hint) from error


class _SessionAuth(httpx.Auth):
    """Renews the token shortly before it expires, and when the hub refuses it; of several threads, one does."""

    def __init__(self, session: Session, renew: Callable[[Session], Session]) -> None:
        self._session = session
        self._renew = renew
        self._lock = threading.Lock()

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response]:
        session = self._session
        if session.expires_at - time.time() < EARLY:
            session = self._following(session)
        request.headers["Authorization"] = f"Bearer {session.token}"
        answer = yield request
        if answer.status_code == HTTPStatus.UNAUTHORIZED:
            request.headers["Authorization"] = f"Bearer {self._following(session).token}"
            yield request

    def _following(self, stale: Session) -> Session:
        with self._lock:
            if self._session is stale:
                self._session = self._renew(stale)
            return self._session


def part(text: Any) -> str:
    """Of a path."""
    return quote(str(text), safe="")


def _on_the_hub(url: str) -> str:
    """A link's path and query: which host it names is no business of who has asked here."""
    parts = urlsplit(url)
    return f"{parts.path}?{parts.query}" if url else ""


def _trust(ca: str) -> ssl.SSLContext | bool:
    try:
        return ssl.create_default_context(cadata=ca) if ca else True
    except (ssl.SSLError, ValueError) as error:
        raise ConfigError("the authority's certificate cannot be read", hint="name the hub's ca.pem, as PEM") from error


def _refusal(answer: httpx.Response) -> Exception:
    try:
        problem = msgspec.json.decode(answer.content, type=Problem)
    except (msgspec.DecodeError, UnicodeDecodeError):
        problem = Problem(title="", status=answer.status_code, detail=f"the hub answered {answer.status_code}")
    if answer.status_code == HTTPStatus.TOO_MANY_REQUESTS or answer.is_server_error:
        return Unavailable(problem.detail, hint=problem.hint, retry_after=retry_after(answer.headers))
    return Rejected(problem.detail, hint=problem.hint)
