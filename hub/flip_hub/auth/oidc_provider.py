"""An OpenID Connect provider as this hub uses it: authorization code with PKCE, state and nonce.

What it says is believed only when its own key has signed it, for this client, for this login, and just now. It raises
`Unavailable` while the provider does not answer, `Forbidden` when what it says does not hold.
"""

import time
from typing import Any

import httpx
import msgspec
from authlib.oauth2.rfc6749.parameters import prepare_grant_uri
from authlib.oauth2.rfc7636 import create_s256_code_challenge
from authlib.oidc.core import CodeIDToken
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet
from msgspec import Struct

from flip_hub.problem import Forbidden
from flip_hub.settings import OidcSection
from flip_runtime.config import secret_of
from flip_runtime.errors import ConfigError, Unavailable

ANSWERS_WITHIN = 10.0
"""Seconds."""
KEPT = 600.0
"""Seconds that addresses and keys of the provider are used before they are fetched again."""
LEEWAY = 60
"""Seconds by which its clock may be off."""
_SIGNED_BY = ["RS256", "PS256", "ES256", "ES384", "EdDSA"]
"""Never a secret that others know, and never nothing."""

Claims = dict[str, Any]


class Metadata(Struct, frozen=True):
    """What discovery tells, as far as it is needed."""

    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str
    userinfo_endpoint: str = ""


class _Answer(Struct, frozen=True):
    id_token: str
    access_token: str


class OidcProvider:
    def __init__(self, settings: OidcSection, redirect_uri: str) -> None:
        """Raises `ConfigError`."""
        if settings.issuer and not settings.client_id:
            raise ConfigError("oidc.client_id is missing", hint="the provider says which it is")
        self._settings = settings
        self._redirect_uri = redirect_uri
        file = settings.client_secret_file
        self._secret = "" if file is None else secret_of(file, "oidc.client_secret_file")
        self._known: tuple[float, Metadata, KeySet] | None = None

    async def address(self, state: str, nonce: str, verifier: str) -> str:
        """Where the browser goes to log in."""
        metadata, _ = await self._provider()
        return prepare_grant_uri(
            metadata.authorization_endpoint,
            self._settings.client_id,
            "code",
            redirect_uri=self._redirect_uri,
            scope=self._settings.scopes,
            state=state,
            nonce=nonce,
            code_challenge=create_s256_code_challenge(verifier),
            code_challenge_method="S256",
        )

    async def claims(self, code: str, nonce: str, verifier: str) -> Claims:
        """Of whoever has logged in there: those of the ID token, and what the provider says of the user."""
        metadata, keys = await self._provider()
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": self._redirect_uri,
            "code_verifier": verifier,
        }
        auth = httpx.BasicAuth(self._settings.client_id, self._secret) if self._secret else None
        form |= {} if auth else {"client_id": self._settings.client_id}
        said = await _asked("POST", metadata.token_endpoint, data=form, auth=auth)
        answer = _convert(said, _Answer)
        claims = self._checked(answer.id_token, keys, nonce)
        if not metadata.userinfo_endpoint:
            return claims
        bearer = {"Authorization": f"Bearer {answer.access_token}"}
        told: Claims = await _asked("GET", metadata.userinfo_endpoint, headers=bearer)
        if told.get("sub") != claims["sub"]:
            raise Forbidden("the provider speaks of somebody else", hint="log in again")
        return {**told, **claims}

    def _checked(self, id_token: str, keys: KeySet, nonce: str) -> Claims:
        client = self._settings.client_id
        wanted = {
            "iss": {"essential": True, "value": self._settings.issuer},
            "aud": {"essential": True, "value": client},
            "nonce": {"essential": True, "value": nonce},
        }
        try:
            token = jwt.decode(id_token, keys, algorithms=_SIGNED_BY)
            claims = CodeIDToken(token.claims, token.header, wanted, {"nonce": nonce, "client_id": client})
            claims.validate(leeway=LEEWAY)
        except (JoseError, ValueError) as error:
            raise Forbidden("the provider's answer does not hold", hint="log in again") from error
        return dict(token.claims)

    async def _provider(self) -> tuple[Metadata, KeySet]:
        if self._known is None or time.monotonic() - self._known[0] > KEPT:
            base = self._settings.issuer.rstrip("/")
            metadata = _convert(await _asked("GET", f"{base}/.well-known/openid-configuration"), Metadata)
            if metadata.issuer != self._settings.issuer:
                raise Forbidden("the provider calls itself otherwise", hint=f"set oidc.issuer to {metadata.issuer}")
            keys = KeySet.import_key_set(await _asked("GET", metadata.jwks_uri))
            self._known = time.monotonic(), metadata, keys
        return self._known[1], self._known[2]


async def _asked(method: str, url: str, **more: Any) -> Any:
    """The JSON it answers with. Redirects are not followed: addresses come from discovery."""
    try:
        async with httpx.AsyncClient(timeout=ANSWERS_WITHIN, trust_env=False) as client:
            answer = await client.request(method, url, **more)
        if answer.is_server_error:
            raise Unavailable("the login provider does not answer", hint="log in with a name and a password")
        if not answer.is_success:
            raise Forbidden("the login provider refused", hint="log in again")
        return msgspec.json.decode(answer.content)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise Unavailable("the login provider does not answer", hint="see oidc.issuer") from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Unavailable("the login provider does not answer in JSON", hint="see oidc.issuer") from error


def _convert(value: Any, kind: type[Any]) -> Any:
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        raise Unavailable("the login provider answers otherwise than OpenID Connect wants", hint=str(error)) from error
