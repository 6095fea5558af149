"""The hub's API from Python, one call at a time: for the command line, the demo and the tests.

Raises `Rejected` with the hub's reason and hint, and `Unavailable` when asking again later may help.
"""

from http import HTTPStatus
from typing import Any, Self, TypeVar
from urllib.parse import quote, urlencode

import httpx
import msgspec

from flip_hub.apps.schemas import App, AppKey, AppKeyRequest, AppSignature
from flip_hub.audit.entry import Entry
from flip_hub.auth.schemas import Login, Me, Session
from flip_hub.contributions.schemas import LateContributions
from flip_hub.devices.schemas import Device
from flip_hub.enrolment.schemas import EnrolmentToken, EnrolmentTokenRequest, ListedToken
from flip_hub.federation.schemas import Run, RunDetail, RunRequest
from flip_hub.models.schemas import Model, ModelVersion
from flip_hub.telemetry.schemas import MessageSpans, StoredEvent
from flip_runtime.errors import Rejected, Unavailable
from flip_runtime.patience import retry_after
from flip_runtime.trace import next_trace
from flip_wire.fleet import Enrolled, EnrolRequest
from flip_wire.problem import Problem

T = TypeVar("T")

TIMEOUT = httpx.Timeout(60.0, connect=5.0)
"""Seconds; a model's file is on its way for a while."""
PAGE = 1000
"""Items that are asked for at once of a list."""


class HubApi:
    """`url` of the hub, `token` of a session; without one only `login` and `ready` are of use."""

    def __init__(self, url: str, token: str | None = None) -> None:
        self.url = url.rstrip("/")
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        self._http = httpx.Client(base_url=self.url, headers=headers, timeout=TIMEOUT, trust_env=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._http.close()

    # ---- the hub itself -----------------------------------------------------------------------------------------

    def ready(self) -> bool:
        """Whether it can do its work; False when it does not even answer."""
        try:
            return self._http.get("/health/ready").is_success
        except httpx.TransportError:
            return False

    def login(self, username: str, password: str) -> Session:
        return self._post("/api/v1/auth/login", Session, Login(username=username, password=password))

    def me(self) -> Me:
        return self._get("/api/v1/auth/me", Me)

    def audit(self, limit: int, **sought: str) -> list[Entry]:
        """Newest first."""
        return self._get(f"/api/v1/audit?{urlencode({'limit': limit, **sought})}", list[Entry])

    # ---- devices ------------------------------------------------------------------------------------------------

    def devices(self) -> list[Device]:
        return self._all("/api/v1/devices", Device)

    def device(self, device_id: str) -> Device:
        return self._get(f"/api/v1/devices/{_part(device_id)}", Device)

    def events(self, device_id: str, limit: int = 100) -> list[StoredEvent]:
        """Newest first."""
        return self._get(f"/api/v1/devices/{_part(device_id)}/events?limit={limit}", list[StoredEvent])

    def revoke(self, device_id: str) -> Device:
        return self._post(f"/api/v1/devices/{_part(device_id)}/revoke", Device)

    def create_enrolment_token(self, wanted: EnrolmentTokenRequest | None = None) -> EnrolmentToken:
        return self._post("/api/v1/enrolment-tokens", EnrolmentToken, wanted or EnrolmentTokenRequest())

    def enrolment_tokens(self) -> list[ListedToken]:
        return self._all("/api/v1/enrolment-tokens", ListedToken)

    def revoke_enrolment_token(self, token_id: str) -> ListedToken:
        return self._decoded(self._send("DELETE", f"/api/v1/enrolment-tokens/{_part(token_id)}"), ListedToken)

    def enrol(self, request: EnrolRequest) -> Enrolled:
        """In a device's place. The token in the request is used up."""
        return self._post("/api/v1/enrol", Enrolled, request)

    # ---- apps and runs -------------------------------------------------------------------------------------------

    def upload_app(self, fab: bytes) -> App:
        return self._post("/api/v1/apps", App, fab)

    def apps(self) -> list[App]:
        return self._all("/api/v1/apps", App)

    def sign_app(self, fab_hash: str, signature: AppSignature) -> App:
        return self._post(f"/api/v1/apps/{_part(fab_hash)}/signatures", App, signature)

    def app_keys(self) -> list[AppKey]:
        """Those whose signature devices trust."""
        return self._all("/api/v1/app-keys", AppKey)

    def add_app_key(self, public_key: str, name: str) -> AppKey:
        """`public_key` is a line of OpenSSH's format."""
        return self._post("/api/v1/app-keys", AppKey, AppKeyRequest(public_key=public_key, name=name))

    def remove_app_key(self, key_id: str) -> AppKey:
        return self._decoded(self._send("DELETE", f"/api/v1/app-keys/{_part(key_id)}"), AppKey)

    def start_run(self, request: RunRequest) -> Run:
        return self._post("/api/v1/runs", Run, request)

    def runs(self) -> list[Run]:
        return self._all("/api/v1/runs", Run)

    def run(self, run_id: str) -> RunDetail:
        return self._get(f"/api/v1/runs/{_part(run_id)}", RunDetail)

    def late(self, run_id: str) -> LateContributions:
        return self._get(f"/api/v1/runs/{_part(run_id)}/late", LateContributions)

    def spans(self, run_id: str, limit: int = 200) -> list[MessageSpans]:
        return self._get(f"/api/v1/runs/{_part(run_id)}/spans?limit={limit}", list[MessageSpans])

    def stop_run(self, run_id: str) -> Run:
        return self._post(f"/api/v1/runs/{_part(run_id)}/stop", Run)

    def run_log(self, run_id: str) -> str:
        """What the ServerApp wrote."""
        return self._send("GET", f"/api/v1/runs/{_part(run_id)}/logs").text

    # ---- models -------------------------------------------------------------------------------------------------

    def models(self) -> list[Model]:
        return self._all("/api/v1/models", Model)

    def versions(self, model: str) -> list[ModelVersion]:
        return self._all(f"/api/v1/models/{_part(model)}/versions", ModelVersion)

    def promote(self, model: str, version: int) -> ModelVersion:
        return self._post(f"/api/v1/models/{_part(model)}/versions/{version}/promote", ModelVersion)

    def file(self, model: str, version: int, name: str) -> bytes:
        return self._send("GET", f"/api/v1/models/{_part(model)}/versions/{version}/files/{_part(name)}").content

    # ---- one call -----------------------------------------------------------------------------------------------

    def _get(self, path: str, kind: type[T]) -> T:
        return self._decoded(self._send("GET", path), kind)

    def _all(self, path: str, kind: type[T]) -> list[T]:
        """The whole of a list, page by page."""
        items: list[T] = []
        next = f"{path}?limit={PAGE}"
        while next:
            answer = self._send("GET", next)
            items += self._decoded(answer, list[kind])
            next = answer.links.get("next", {}).get("url", "")
        return items

    def _post(self, path: str, kind: type[T], body: msgspec.Struct | bytes | None = None) -> T:
        return self._decoded(self._send("POST", path, body), kind)

    def _send(self, method: str, path: str, body: msgspec.Struct | bytes | None = None) -> httpx.Response:
        content = msgspec.json.encode(body) if isinstance(body, msgspec.Struct) else body
        media_type = "application/octet-stream" if isinstance(body, bytes) else "application/json"
        headers = {"traceparent": next_trace().traceparent()}
        if content is not None:
            headers["Content-Type"] = media_type
        try:
            answer = self._http.request(method, path, content=content, headers=headers)
        except httpx.TransportError as error:
            hint = "is flip-hub serve running, and is the address right?"
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


def _refusal(answer: httpx.Response) -> Exception:
    try:
        problem = msgspec.json.decode(answer.content, type=Problem)
    except (msgspec.DecodeError, UnicodeDecodeError):
        problem = Problem(title="", status=answer.status_code, detail=f"the hub answered {answer.status_code}")
    if answer.status_code == HTTPStatus.TOO_MANY_REQUESTS or answer.is_server_error:
        return Unavailable(problem.detail, hint=problem.hint, retry_after=retry_after(answer.headers))
    return Rejected(problem.detail, hint=problem.hint)


def _part(text: Any) -> str:
    return quote(str(text), safe="")
