"""`Idempotency-Key`: a POST that a person sends again, with the same key, happens once and is answered the same.

A key is bound to the caller, the call and the body. Only success is remembered, for a day: what was refused has changed
nothing, and may be tried again with the same key. Answers are kept sealed, for some show a secret that is shown once.
"""

import hashlib
import re
import secrets
from dataclasses import dataclass, field
from typing import Any

import msgspec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from litestar import Request, Response
from litestar.types import Message, Scope
from msgspec import Struct

from flip_hub.cluster.volatile import Volatile
from flip_hub.problem import Conflict, Refused, Unprocessable

HEADER = "Idempotency-Key"
REPLAYED = "Idempotency-Replayed"
KEPT = 24 * 3600.0
"""Seconds."""
UNDER_WAY = 600.0
"""Seconds after which an attempt whose hub died is forgotten."""
_LARGEST = 256 * 2**10
"""Bytes of an answer that is kept."""
_KEY = re.compile(r"[\x21-\x7e]{1,255}")
_NONCE = 12
_STATE = "idempotency"


class _Kept(Struct, frozen=True, array_like=True):
    body: bytes
    """Hash of what was sent."""
    status: int = 0
    """0 while it is under way."""
    media_type: str = ""
    answer: bytes = b""


@dataclass
class _Attempt:
    name: str
    body: bytes
    status: int = 0
    media_type: str = ""
    answer: bytearray = field(default_factory=bytearray)


class IdempotencyKeys:
    def __init__(self, volatile: Volatile, secret: bytes) -> None:
        """`secret`: 32 bytes, the same on every hub."""
        self._volatile = volatile
        self._box = AESGCM(secret)

    async def begin(self, request: Request[Any, Any, Any]) -> Response[bytes] | None:
        """The answer that was given before, if this very request was made before.

        Raises `Conflict` while the first is under way, `Unprocessable` when the key was used for another request.
        """
        key = request.headers.get(HEADER)
        if key is None or request.method != "POST" or "me" not in request.state:
            return None
        if not _KEY.fullmatch(key):
            raise Refused(f"{HEADER} must be 1 to 255 visible characters", hint="send a random UUID")
        name = _name(request.state["me"].username, request.url.path, key)
        attempt = _Attempt(name, hashlib.sha256(await request.body()).digest())
        if await self._volatile.add(name, self._sealed(name, _Kept(attempt.body)), UNDER_WAY):
            request.state[_STATE] = attempt
            return None
        return self._again(attempt, await self._volatile.get(name))

    async def keep(self, message: Message, scope: Scope) -> None:
        """Of the messages by which the answer is sent; the last goes out when the answer is kept."""
        attempt = scope.get("state", {}).get(_STATE)
        if attempt is None:
            return
        if message["type"] == "http.response.start":
            attempt.status = message["status"]
            headers = {name.lower(): value for name, value in message["headers"]}
            attempt.media_type = headers.get(b"content-type", b"").decode("latin-1")
        elif message["type"] == "http.response.body":
            attempt.answer += message["body"]
            if not message.get("more_body"):
                await self._finish(attempt)

    async def _finish(self, attempt: _Attempt) -> None:
        if not 200 <= attempt.status < 300 or len(attempt.answer) > _LARGEST:
            return await self._volatile.remove(attempt.name)
        kept = _Kept(attempt.body, attempt.status, attempt.media_type, bytes(attempt.answer))
        return await self._volatile.put(attempt.name, self._sealed(attempt.name, kept), KEPT)

    def _again(self, attempt: _Attempt, sealed: bytes | None) -> Response[bytes]:
        kept = _Kept(attempt.body) if sealed is None else self._opened(attempt.name, sealed)
        if kept.body != attempt.body:
            raise Unprocessable(f"this {HEADER} was used with another body", hint="a new key for each new request")
        if not kept.status:
            raise Conflict("the request with this key is under way", hint="ask again in a moment, with the same key")
        return Response(kept.answer, status_code=kept.status, media_type=kept.media_type, headers={REPLAYED: "true"})

    def _sealed(self, name: str, kept: _Kept) -> bytes:
        nonce = secrets.token_bytes(_NONCE)
        return nonce + self._box.encrypt(nonce, msgspec.msgpack.encode(kept), name.encode())

    def _opened(self, name: str, sealed: bytes) -> _Kept:
        content = self._box.decrypt(sealed[:_NONCE], sealed[_NONCE:], name.encode())
        return msgspec.msgpack.decode(content, type=_Kept)


def _name(username: str, path: str, key: str) -> str:
    return f"idempotency:{hashlib.sha256(msgspec.msgpack.encode((username, path, key))).hexdigest()}"
