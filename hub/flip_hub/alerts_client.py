"""The hub's API about alerts from Python."""

from urllib.parse import urlencode

from flip_hub.alerts.schemas import Alert, Silence, SilenceRequest
from flip_hub.hub_calls import HubCalls, part


class AlertsApi(HubCalls):
    """What there is to call; how, and as whom, says `HubCalls`."""

    def alerts(self, status: str = "open", **sought: str) -> list[Alert]:
        """Newest first; `sought`: `rule`, `device`, `run`."""
        return self._all(f"/api/v1/alerts?{urlencode({'status': status, **sought})}", Alert)

    def acknowledge(self, alert_id: str) -> Alert:
        return self._post(f"/api/v1/alerts/{part(alert_id)}/acknowledge", Alert)

    def silences(self) -> list[Silence]:
        """Those that are not over."""
        return self._all("/api/v1/alert-silences", Silence)

    def silence(self, wanted: SilenceRequest) -> Silence:
        return self._post("/api/v1/alert-silences", Silence, wanted)

    def end_silence(self, silence_id: str) -> Silence:
        return self._delete(f"/api/v1/alert-silences/{part(silence_id)}", Silence)
