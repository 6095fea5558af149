"""What became of a pushed reply, and where it goes when no round takes it: the gateway's own calls.

Each gives its answer or raises `Unavailable`; `Rejected` only when the hub refuses the reply itself. Calls block: use
threads, any number at once.
"""

from collections.abc import Generator
from http import HTTPStatus
from typing import TypeVar

import httpx
import msgspec

from flip_agent.federation.fleet_client import HOLD, TIMEOUT
from flip_agent.federation.flower import Instruction, Item, Reply
from flip_agent.federation.node_auth import NodeAuth
from flip_agent.federation.traffic import Traffic
from flip_agent.hub.tls import trusting
from flip_runtime.errors import Rejected, Unavailable
from flip_runtime.patience import retry_after
from flip_wire.contributions import LateNeeds, LateReply, Receipt
from flip_wire.models import Sha256
from flip_wire.problem import Problem

T = TypeVar("T")

_REFUSED = frozenset({HTTPStatus.BAD_REQUEST, HTTPStatus.CONFLICT, HTTPStatus.REQUEST_ENTITY_TOO_LARGE})


class ContributionClient:
    def __init__(self, address: str, auth: NodeAuth, ca: str, *, traffic: Traffic | None = None) -> None:
        """As `FleetClient`. Raises `ConfigError` when `ca` is none."""
        self._traffic = traffic or Traffic()
        verify = trusting(ca) if ca else False
        scheme = "https" if ca else "http"
        self._http = httpx.Client(
            base_url=f"{scheme}://{address}/v1/flip/",
            verify=verify,
            timeout=TIMEOUT,
            auth=_Signed(auth),
            trust_env=False,
        )

    def close(self) -> None:
        self._http.close()

    def receipt(self, instruction: Instruction) -> Receipt:
        """The hub may hold it back for `HOLD` seconds while there is nothing to say."""
        request = self._http.build_request(
            "GET",
            f"receipts/{instruction.message_id}",
            params={"run": instruction.run_id},
            headers={"Flip-Wait": str(HOLD)},
        )
        return _decoded(self._ask(request), Receipt)

    def announce(self, instruction: Instruction, reply: Reply, size: int, seconds: float, reason: str) -> list[Sha256]:
        """The objects that the hub lacks; none means that it keeps the reply. `size` is the bytes of all of them."""
        late = LateReply(
            run_id=instruction.run_id,
            message_id=instruction.message_id,
            message=reply.message,
            tree=reply.tree,
            size=size,
            seconds=seconds,
            reason=reason,
        )
        request = self._http.build_request("POST", "late", content=msgspec.json.encode(late))
        return _decoded(self._ask(request), LateNeeds).objects

    def put(self, item: Item) -> None:
        self._ask(self._http.build_request("PUT", f"objects/{item.object_id}", content=item.content))

    def _ask(self, request: httpx.Request) -> httpx.Response:
        try:
            with self._traffic.call(len(request.content)) as came:
                answer = self._http.send(request)
                came(len(answer.content))
        except httpx.RequestError as error:
            raise Unavailable(f"{request.url.path}: {error or type(error).__name__}") from error
        if answer.status_code in _REFUSED and _is_the_hubs(answer):
            raise Rejected(f"the hub refuses the reply: {answer.text[:300]}")
        if answer.is_error:  # a revoked device may be enrolled again, an older hub upgraded
            raise Unavailable(f"{request.url.path}: HTTP {answer.status_code}", retry_after=retry_after(answer.headers))
        return answer


class _Signed(httpx.Auth):
    requires_request_body = True  # it may be sent twice

    def __init__(self, auth: NodeAuth) -> None:
        self._auth = auth

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response]:
        request.headers.update(self._auth.headers())
        answer = yield request
        if self._auth.corrected(answer.status_code, answer.headers):
            request.headers.update(self._auth.headers())
            yield request


def _is_the_hubs(answer: httpx.Response) -> bool:
    """And not a portal's or a proxy's: a reply is not given up for what those say."""
    try:
        msgspec.json.decode(answer.content, type=Problem)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return False
    return True


def _decoded(answer: httpx.Response, kind: type[T]) -> T:
    try:
        return msgspec.json.decode(answer.content, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:  # of a portal, say
        raise Unavailable(f"an answer that is none of the hub's: {error}") from error
