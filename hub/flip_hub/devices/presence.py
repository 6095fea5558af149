"""Notices when what is known of a device's status stops being true, without anybody having called."""

from flip_hub.devices.record import DeviceRecord
from flip_hub.devices.schemas import Device, DeviceStatus
from flip_hub.devices.status import SILENT_HEARTBEATS
from flip_wire.fleet import DeviceId


class Presence:
    """Remembers the status last told of each device; `heartbeat` in seconds."""

    def __init__(self, heartbeat: float) -> None:
        self._heartbeat = heartbeat
        self._told: dict[DeviceId, DeviceStatus] = {}
        self._looked_until = 0.0

    @property
    def look_every(self) -> float:
        """Seconds; a device is called silent at most this much late."""
        return max(0.2, self._heartbeat / 4)

    def window(self, now: float) -> tuple[float, float]:
        """When those were last seen who have fallen silent since the last look."""
        since, self._looked_until = self._looked_until, now - SILENT_HEARTBEATS * self._heartbeat
        return since, self._looked_until

    def changes(self, record: DeviceRecord, now: float) -> bool:
        return self._told.get(record.id) is not record.status(now, self._heartbeat)

    def told(self, device: Device) -> None:
        self._told[device.id] = device.status
