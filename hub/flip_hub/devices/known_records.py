"""Records that were read or written here a moment ago, by id and by key: two seconds old at most, never the truth."""

from flip_hub.devices.record import DeviceRecord
from flip_hub.devices.remembered import Remembered
from flip_wire.fleet import DeviceId

REMEMBERED_FOR = 2.0
"""Seconds that a record may be used without reading it again; what is known to have changed is forgotten at once."""


class KnownRecords:
    def __init__(self) -> None:
        self._by_id: Remembered[DeviceId, DeviceRecord] = Remembered(REMEMBERED_FOR)
        self._by_key: Remembered[str, DeviceRecord] = Remembered(REMEMBERED_FOR)

    def get(self, device_id: DeviceId) -> DeviceRecord | None:
        return self._by_id.get(device_id)

    def by_key(self, fingerprint: str) -> DeviceRecord | None:
        return self._by_key.get(fingerprint)

    def put(self, record: DeviceRecord) -> None:
        """One that was read before the device was revoked, or asked something, does not take the place of a newer."""
        known = self._by_id.get(record.id)
        if known is None or not known.overtakes(record):
            self._by_id.put(record.id, record)
            self._by_key.put(record.fingerprint, record)

    def forget(self, device_id: DeviceId) -> None:
        if (record := self._by_id.get(device_id)) is not None:
            self._by_key.forget(record.fingerprint)
        self._by_id.forget(device_id)

    def clear(self) -> None:
        self._by_id.clear()
        self._by_key.clear()
