"""Records that were read or written here, by id and by key, so that calls of devices need not read them again."""

from collections.abc import Callable, Iterable

from flip_hub.devices.record import DeviceRecord
from flip_hub.devices.remembered import Remembered
from flip_wire.fleet import DeviceId

REMEMBERED_FOR = 2.0
"""Seconds that a record which was found by its key may be used without reading it again."""
MOST = 20_000
"""Records; the one that was put here longest ago goes first."""


class KnownRecords:
    """What is known to have changed is forgotten, or replaced, at once.

    `watched` says whether the registry is being watched: then nobody has revoked a device that is known here, or asked
    anything of it, more than a moment ago. What else it says of a device may be older, where another hub hears it.
    """

    def __init__(self, watched: Callable[[], bool]) -> None:
        self._watched = watched
        self._by_id: Remembered[DeviceId, DeviceRecord] = Remembered(float("inf"), most=MOST)
        self._by_key: Remembered[str, DeviceRecord] = Remembered(REMEMBERED_FOR)

    def get(self, device_id: DeviceId) -> DeviceRecord | None:
        return self._by_id.get(device_id) if self._watched() else None

    def by_key(self, fingerprint: str) -> DeviceRecord | None:
        return self._by_key.get(fingerprint)

    def of_any_age(self, device_ids: Iterable[DeviceId]) -> dict[DeviceId, DeviceRecord]:
        """Of those that are known: for whoever changes only what is still as it was here."""
        return {device_id: record for device_id in device_ids if (record := self._by_id.get(device_id)) is not None}

    def put(self, record: DeviceRecord) -> None:
        """What was read earlier does not take the place of what is newer."""
        known = self._by_id.get(record.id)
        record = record if known is None else record.merged(known)
        self._by_id.put(record.id, record)
        self._by_key.put(record.fingerprint, record)

    def forget(self, device_id: DeviceId) -> None:
        if (record := self._by_id.get(device_id)) is not None:
            self._by_key.forget(record.fingerprint)
        self._by_id.forget(device_id)

    def clear(self) -> None:
        self._by_id.clear()
        self._by_key.clear()
