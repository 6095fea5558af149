"""The hub's API from Python, one call at a time: for the command line, the demo and the tests.

Raises as `HubCalls` says.
"""

from urllib.parse import urlencode

import httpx

from flip_hub.actions.schemas import ActionRequest, DeviceAction
from flip_hub.apps.schemas import App, AppKey, AppKeyRequest, AppSignature
from flip_hub.audit.entry import Entry
from flip_hub.auth.schemas import Me
from flip_hub.contributions.schemas import Contribution, LateContribution, LateCounts
from flip_hub.devices.schemas import Device, DevicePatch
from flip_hub.enrolment.schemas import EnrolmentToken, EnrolmentTokenRequest, ListedToken
from flip_hub.federation.schemas import Run, RunDetail, RunRequest
from flip_hub.federation.strategy_schemas import StrategySchema
from flip_hub.hub_calls import HubCalls, part
from flip_hub.lineage.schemas import Lineage
from flip_hub.models.schemas import Model, ModelVersion
from flip_hub.receipts.chain import DeviceKeys, ReceiptEntry, ReceiptSeal, SealKey
from flip_hub.telemetry.schemas import MessageSpans, StoredEvent
from flip_wire.fleet import Enrolled, EnrolRequest


class HubApi(HubCalls):
    """What there is to call; how, and as whom, says `HubCalls`."""

    # ---- the hub itself -----------------------------------------------------------------------------------------

    def ready(self) -> bool:
        """Whether it can do its work; False when it does not even answer."""
        try:
            return self._http.get("/health/ready").is_success
        except httpx.TransportError:
            return False

    def me(self) -> Me:
        return self._get("/api/v1/auth/me", Me)

    def audit(self, limit: int, **sought: str) -> list[Entry]:
        """Newest first."""
        return self._get(f"/api/v1/audit?{urlencode({'limit': limit, **sought})}", list[Entry])

    # ---- devices ------------------------------------------------------------------------------------------------

    def devices(self) -> list[Device]:
        return self._all("/api/v1/devices", Device)

    def device(self, device_id: str) -> Device:
        return self._get(f"/api/v1/devices/{part(device_id)}", Device)

    def events(self, device_id: str, limit: int = 100) -> list[StoredEvent]:
        """Newest first."""
        return self._get(f"/api/v1/devices/{part(device_id)}/events?limit={limit}", list[StoredEvent])

    def revoke(self, device_id: str) -> Device:
        return self._post(f"/api/v1/devices/{part(device_id)}/revoke", Device)

    def patch_device(self, device_id: str, patch: DevicePatch) -> Device:
        return self._decoded(self._send("PATCH", f"/api/v1/devices/{part(device_id)}", patch), Device)

    def clear_clone(self, device_id: str) -> Device:
        return self._decoded(self._send("DELETE", f"/api/v1/devices/{part(device_id)}/clone"), Device)

    def ask_action(self, device_id: str, wanted: ActionRequest) -> DeviceAction:
        return self._post(f"/api/v1/devices/{part(device_id)}/actions", DeviceAction, wanted)

    def actions(self, device_id: str) -> list[DeviceAction]:
        """Newest first."""
        return self._all(f"/api/v1/devices/{part(device_id)}/actions", DeviceAction)

    def action(self, device_id: str, action_id: str) -> DeviceAction:
        return self._get(f"/api/v1/devices/{part(device_id)}/actions/{part(action_id)}", DeviceAction)

    def action_log(self, device_id: str, action_id: str) -> str:
        return self._send("GET", f"/api/v1/devices/{part(device_id)}/actions/{part(action_id)}/log").text

    def create_enrolment_token(self, wanted: EnrolmentTokenRequest | None = None) -> EnrolmentToken:
        return self._post("/api/v1/enrolment-tokens", EnrolmentToken, wanted or EnrolmentTokenRequest())

    def enrolment_tokens(self) -> list[ListedToken]:
        return self._all("/api/v1/enrolment-tokens", ListedToken)

    def revoke_enrolment_token(self, token_id: str) -> ListedToken:
        return self._decoded(self._send("DELETE", f"/api/v1/enrolment-tokens/{part(token_id)}"), ListedToken)

    def enrol(self, request: EnrolRequest) -> Enrolled:
        """In a device's place. The token in the request is used up."""
        return self._post("/api/v1/enrol", Enrolled, request)

    # ---- apps and runs -------------------------------------------------------------------------------------------

    def upload_app(self, fab: bytes) -> App:
        return self._post("/api/v1/apps", App, fab)

    def apps(self) -> list[App]:
        return self._all("/api/v1/apps", App)

    def sign_app(self, fab_hash: str, signature: AppSignature) -> App:
        return self._post(f"/api/v1/apps/{part(fab_hash)}/signatures", App, signature)

    def app_keys(self) -> list[AppKey]:
        """Those whose signature devices trust."""
        return self._all("/api/v1/app-keys", AppKey)

    def add_app_key(self, public_key: str, name: str) -> AppKey:
        """`public_key` is a line of OpenSSH's format."""
        return self._post("/api/v1/app-keys", AppKey, AppKeyRequest(public_key=public_key, name=name))

    def remove_app_key(self, key_id: str) -> AppKey:
        return self._decoded(self._send("DELETE", f"/api/v1/app-keys/{part(key_id)}"), AppKey)

    def strategies(self) -> list[StrategySchema]:
        return self._get("/api/v1/strategies", list[StrategySchema])

    def strategy(self, name: str) -> StrategySchema:
        return self._get(f"/api/v1/strategies/{part(name)}", StrategySchema)

    def start_run(self, request: RunRequest) -> Run:
        return self._post("/api/v1/runs", Run, request)

    def check_run(self, request: RunRequest) -> Run:
        """As it would be started, with the price of its privacy; nothing is."""
        return self._post("/api/v1/runs/check", Run, request)

    def runs(self) -> list[Run]:
        return self._all("/api/v1/runs", Run)

    def run(self, run_id: str) -> RunDetail:
        return self._get(f"/api/v1/runs/{part(run_id)}", RunDetail)

    def late(self, run_id: str) -> list[LateContribution]:
        """Newest first."""
        return self._all(f"/api/v1/runs/{part(run_id)}/late", LateContribution)

    def late_counts(self, run_id: str) -> LateCounts:
        return self._get(f"/api/v1/runs/{part(run_id)}/late/counts", LateCounts)

    def contributions(self, run_id: str) -> list[Contribution]:
        """The newest round first."""
        return self._all(f"/api/v1/runs/{part(run_id)}/contributions", Contribution)

    def receipts(self, run_id: str) -> list[ReceiptEntry]:
        """In the order of their chain."""
        return self._all(f"/api/v1/runs/{part(run_id)}/receipts", ReceiptEntry)

    def seal_key(self) -> SealKey:
        return self._get("/api/v1/receipts/key", SealKey)

    def device_keys(self, run_id: str) -> DeviceKeys:
        """Of the devices in the run's receipts."""
        return self._get(f"/api/v1/runs/{part(run_id)}/receipts/device-keys", DeviceKeys)

    def receipts_seal(self, run_id: str) -> ReceiptSeal:
        return self._get(f"/api/v1/runs/{part(run_id)}/receipts/seal", ReceiptSeal)

    def spans(self, run_id: str, limit: int = 200) -> list[MessageSpans]:
        return self._get(f"/api/v1/runs/{part(run_id)}/spans?limit={limit}", list[MessageSpans])

    def stop_run(self, run_id: str) -> Run:
        return self._post(f"/api/v1/runs/{part(run_id)}/stop", Run)

    def pause_run(self, run_id: str) -> Run:
        return self._post(f"/api/v1/runs/{part(run_id)}/pause", Run)

    def resume_run(self, run_id: str) -> Run:
        return self._post(f"/api/v1/runs/{part(run_id)}/resume", Run)

    def run_log(self, run_id: str) -> str:
        """What the ServerApp wrote."""
        return self._send("GET", f"/api/v1/runs/{part(run_id)}/logs").text

    # ---- models -------------------------------------------------------------------------------------------------

    def models(self) -> list[Model]:
        return self._all("/api/v1/models", Model)

    def versions(self, model: str) -> list[ModelVersion]:
        return self._all(f"/api/v1/models/{part(model)}/versions", ModelVersion)

    def lineage(self, model: str, version: int) -> Lineage:
        return self._get(f"/api/v1/models/{part(model)}/versions/{version}/lineage", Lineage)

    def promote(self, model: str, version: int) -> ModelVersion:
        return self._post(f"/api/v1/models/{part(model)}/versions/{version}/promote", ModelVersion)

    def file(self, model: str, version: int, name: str) -> bytes:
        return self._send("GET", f"/api/v1/models/{part(model)}/versions/{version}/files/{part(name)}").content
