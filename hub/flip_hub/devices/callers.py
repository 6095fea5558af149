"""What a device's requests tell beside what they ask: which version it speaks, and which of its lives this is."""

import logging
import time
from collections.abc import Awaitable, Callable

from flip_hub.devices import lives
from flip_hub.devices.known_records import KnownRecords
from flip_hub.devices.record import DeviceRecord
from flip_hub.devices.store import DeviceStore

log = logging.getLogger(__name__)


class Callers:
    """`changed` publishes a record that people should look at."""

    def __init__(
        self, store: DeviceStore, known: KnownRecords, changed: Callable[[DeviceRecord], Awaitable[object]]
    ) -> None:
        self._store = store
        self._known = known
        self._changed = changed

    def is_news(self, record: DeviceRecord, call: lives.Call) -> bool:
        """Whether `take` would do anything."""
        return record.wire_version != call.wire_version or lives.heard(record.lives, call, 0.0) is not record.lives

    async def take(self, record: DeviceRecord, call: lives.Call) -> None:
        if record.wire_version != call.wire_version:
            record = await self._store.set_wire_version(record.id, call.wire_version) or record
            self._known.put(record)
        now = time.time()
        after = lives.heard(record.lives, call, now)
        if after is not record.lives:
            await self._take_lives(record, after, record.clone or lives.clone(after, now))

    async def _take_lives(self, record: DeviceRecord, after: list[lives.Life], clone: lives.Clone | None) -> None:
        changed = await self._store.set_lives(record.id, record.lives, after, clone)
        if changed is None:  # another hub was quicker: the next request is seen against what it wrote
            self._known.forget(record.id)
        elif clone is None or record.clone is not None:
            self._known.put(changed)
        else:
            two = ", ".join(life.address for life in clone.lives)
            log.warning("two agents live with the key of one device", extra={"device": record.id, "addresses": two})
            await self._changed(changed)
