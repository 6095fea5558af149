"""The hub's API about rollouts from Python."""

from urllib.parse import urlencode

from flip_hub.hub_calls import HubCalls, part
from flip_hub.rollouts.schemas import Reason, RingDevice, Rollout, RolloutRequest


class RolloutsApi(HubCalls):
    """What there is to call; how, and as whom, says `HubCalls`."""

    def rollouts(self, **sought: str) -> list[Rollout]:
        """Newest first; `sought`: `model`, `status`."""
        query = f"?{urlencode(sought)}" if sought else ""
        return self._all(f"/api/v1/rollouts{query}", Rollout)

    def rollout(self, rollout_id: str) -> Rollout:
        return self._get(f"/api/v1/rollouts/{part(rollout_id)}", Rollout)

    def ring_devices(self, rollout_id: str) -> list[RingDevice]:
        """By name."""
        return self._all(f"/api/v1/rollouts/{part(rollout_id)}/devices", RingDevice)

    def start_rollout(self, wanted: RolloutRequest) -> Rollout:
        return self._post("/api/v1/rollouts", Rollout, wanted)

    def halt_rollout(self, rollout_id: str, reason: str = "") -> Rollout:
        return self._post(f"/api/v1/rollouts/{part(rollout_id)}/halt", Rollout, Reason(reason=reason))

    def resume_rollout(self, rollout_id: str, reason: str = "") -> Rollout:
        return self._post(f"/api/v1/rollouts/{part(rollout_id)}/resume", Rollout, Reason(reason=reason))

    def roll_back(self, rollout_id: str, reason: str = "") -> Rollout:
        return self._post(f"/api/v1/rollouts/{part(rollout_id)}/rollback", Rollout, Reason(reason=reason))
