"""Everything the daemon asks of the hub's API, as calls that take and give wire Structs.

Refusals are told apart by who must act: what the hub will never take is `Rejected`; the rest, also a device that was
revoked, is `Unavailable`, because people may change it.
"""

import asyncio
import functools
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import msgspec
import zstandard

from flip_agent.hub.assertion import signed_token_request
from flip_agent.hub.connection import Allowance, Answer, HubConnection, OwnLimit
from flip_agent.hub.link import HubLink
from flip_agent.identity import Identity
from flip_runtime.errors import FlipError, Rejected, Unavailable
from flip_wire.file_delta import FileDelta
from flip_wire.fleet import DesiredState, DeviceToken
from flip_wire.models import Sha256
from flip_wire.problem import Problem
from flip_wire.telemetry import Batch, BatchAccepted
from flip_wire.version import HEADER, WIRE_VERSION

T = TypeVar("T")

SPOKEN = {HEADER: str(WIRE_VERSION)}
"""On each call."""
POLL_WAIT = 60.0
"""Seconds the hub may hold back an answer to the long poll."""
_MADE_WITHIN = 120.0
"""Seconds for a delta that nobody has asked for before: of a GiB it takes some ten, and others may be made first."""
_RENEW_AFTER = 0.9
"""Of a token's life."""
_NEVER = frozenset({400, 409, 413, 415, 422})
"""Statuses after which the same request is never sent again."""
_TOO_LARGE = 413
_NOT_SERVED = frozenset({401, 403})
"""Statuses by which the hub refuses the device rather than the request."""
_CLOCKS_DIFFER = 2.0
"""Seconds; below that a refused signature has another cause than the clock."""


class HubClient:
    """Three connections, so that neither a long poll nor a download ever holds up telemetry."""

    def __init__(
        self,
        identity: Identity,
        state: Path,
        link: HubLink,
        life: str = "",
        count: Callable[[int], None] = lambda size: None,
    ) -> None:
        """`life`: of this agent, from its start on; another with the same key is a clone. `count` as in
        `HubConnection`."""
        self._identity = identity
        self._life = life
        self._state = state
        self._link = link
        self._token: DeviceToken | None = None
        self._renew_at = 0.0
        self._token_lock = asyncio.Lock()
        connection = functools.partial(HubConnection, identity.hub_url, ca=identity.trusted, count=count)
        self._uplink = connection(name="uplink")
        self._poll = connection(name="long-poll")
        self._downloads = connection(name="downloads")

    def close(self) -> None:
        for connection in (self._uplink, self._poll, self._downloads):
            connection.close()

    async def send(self, batch: Batch) -> BatchAccepted:
        """Returns when the hub has stored the events."""
        body = zstandard.ZstdCompressor(level=1).compress(msgspec.json.encode(batch))

        def post(headers: dict[str, str]) -> Answer:
            sent = {**headers, "Content-Type": "application/json", "Content-Encoding": "zstd"}
            return self._uplink.exchange("POST", "/api/v1/device/telemetry", body=body, headers=sent)

        return _decode(await self._ask(self._uplink, post), BatchAccepted)

    async def desired(self, after: int, wait: float = POLL_WAIT) -> DesiredState | None:
        """None when nothing has changed since generation `after`."""
        path = f"/api/v1/device/desired?after={after}&wait={wait:g}"

        def get(headers: dict[str, str]) -> Answer:
            return self._poll.exchange("GET", path, headers=headers, within=wait + 30.0)

        answer = await self._ask(self._poll, get)
        return None if answer.status == 304 else _decode(answer, DesiredState)

    async def download(self, sha256: Sha256, into: Path, size: int, allowance: Allowance) -> None:
        """Completes `into` to `size` bytes from where it ends, as far as the allowance goes. Raises `Corrupt` when the
        hub sends more."""
        path = f"/api/v1/device/artifacts/{sha256}"

        def get(headers: dict[str, str]) -> Answer:
            return self._downloads.download(path, into, size=size, headers=headers, allowance=allowance)

        await self._ask(self._downloads, get)

    async def delta(self, sha256: Sha256, base: Sha256) -> FileDelta | None:
        """What makes that file of the `base`; None when the hub has nothing smaller than the file."""
        path = f"/api/v1/device/artifacts/{sha256}/delta/{base}"

        def get(headers: dict[str, str]) -> Answer:
            return self._downloads.exchange("GET", path, headers=headers, within=_MADE_WITHIN)

        answer = await self._authorised(self._downloads, get)
        return _decode(answer, FileDelta) if answer.status == 200 else None

    # ---- one request, with a token that the hub accepts ----

    async def _ask(self, connection: HubConnection, request: Callable[[dict[str, str]], Answer]) -> Answer:
        try:
            answer = await self._authorised(connection, request)
            if answer.status in _NOT_SERVED or answer.status >= 500:
                raise _refusal(answer)
        except OwnLimit:
            raise
        except Unavailable as error:
            self._link.fails(str(error))
            raise
        self._link.works()
        if answer.status >= 400:
            raise _refusal(answer)
        return answer

    async def _authorised(self, connection: HubConnection, request: Callable[[dict[str, str]], Answer]) -> Answer:
        token = await self._valid_token(connection, refused=None)
        answer = await self._heard(connection, lambda: request(_bearer(token)))
        if answer.status != 401:
            return answer
        renewed = await self._valid_token(connection, refused=token)
        return await self._heard(connection, lambda: request(_bearer(renewed)))

    async def _valid_token(self, connection: HubConnection, refused: DeviceToken | None) -> DeviceToken:
        async with self._token_lock:
            token = self._token
            if token is None or token is refused or time.monotonic() > self._renew_at:
                token = self._token = await self._new_token(connection)
                self._renew_at = time.monotonic() + _RENEW_AFTER * (token.expires_at - self._link.hub_time)
            return token

    async def _new_token(self, connection: HubConnection) -> DeviceToken:
        """A second try, if the first answer showed that the clocks differ."""
        offset = self._link.clock_offset
        answer = await self._exchange_assertion(connection)
        if answer.status >= 400 and abs(self._link.clock_offset - offset) > _CLOCKS_DIFFER:
            answer = await self._exchange_assertion(connection)
        if answer.status >= 400:
            raise Unavailable(f"no device token: {_refusal(answer)}", retry_after=answer.retry_after)
        return _decode(answer, DeviceToken)

    async def _exchange_assertion(self, connection: HubConnection) -> Answer:
        hub_time = self._link.hub_time
        request = await signed_token_request(self._state, self._identity.device_id, hub_time, self._life)
        body = msgspec.json.encode(request)
        headers = {"Content-Type": "application/json", **SPOKEN}
        path = "/api/v1/device/token"
        return await self._heard(connection, lambda: connection.exchange("POST", path, body=body, headers=headers))

    async def _heard(self, connection: HubConnection, request: Callable[[], Answer]) -> Answer:
        answer = await connection.call(request)
        self._link.heard(answer.hub_time)
        return answer


def _bearer(token: DeviceToken) -> dict[str, str]:
    return {"Authorization": f"Bearer {token.token}", **SPOKEN}


def _decode(answer: Answer, kind: type[T]) -> T:
    try:
        return msgspec.json.decode(answer.body, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        hint = "does hub_url in identity.json name a FLIP hub?"
        raise Unavailable(f"the hub's answer is no {kind.__name__}: {error}", hint=hint) from error


def _refusal(answer: Answer) -> FlipError:
    """`Rejected` only by the hub's own word, or for the size; a portal or proxy may answer 400 to anything."""
    told = _told(answer)
    problem = told or _untold(answer)
    if answer.status in _NEVER and (told is not None or answer.status == _TOO_LARGE):
        return Rejected(problem.detail, hint=problem.hint)
    return Unavailable(problem.detail, hint=problem.hint, retry_after=answer.retry_after)


def problem_of(answer: Answer) -> Problem:
    """Also of an answer that carries none, such as a proxy's."""
    return _told(answer) or _untold(answer)


def _told(answer: Answer) -> Problem | None:
    try:
        return msgspec.json.decode(answer.body, type=Problem)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None


def _untold(answer: Answer) -> Problem:
    return Problem(title="refused", status=answer.status, detail=f"the hub answered {answer.status}")
