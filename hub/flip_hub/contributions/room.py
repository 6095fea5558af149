"""How much may be on its way at the same time: uploads of late contributions that are not whole yet.

Each counts with the bytes that its device has declared, from its announcement on. So what has begun can always end: no
two uploads wait for each other's room. One that is larger than what a device (or all together) may have on its way is
let in when nothing else is.
"""

from collections.abc import Sequence

from msgspec import Struct

from flip_wire.fleet import DeviceId


class Upload(Struct, frozen=True, kw_only=True):
    """One that is not whole."""

    message_id: str
    device_id: DeviceId
    run_id: str
    declared: int
    """Bytes, by the device."""
    progress_at: float
    """When it was announced, or the last object of it was stored."""


class Room(Struct, frozen=True, kw_only=True):
    each: int = 4
    """Uploads of one device: as many as it settles at the same time."""
    each_bytes: int = 2**30
    all: int = 64
    all_bytes: int = 2 * 2**30
    idle: float = 3600.0
    """Seconds without progress after which one is given up; its device announces it again, and starts over."""

    def lacks(self, uploads: Sequence[Upload], device_id: DeviceId, declared: int) -> str:
        """Why there is none for another upload, in words for people; empty when there is."""
        own = [upload for upload in uploads if upload.device_id == device_id]
        if _full(own, declared, self.each, self.each_bytes):
            return f"{len(own)} late replies of this device are on their way"
        if _full(uploads, declared, self.all, self.all_bytes):
            return f"{len(uploads)} late replies of other devices are on their way"
        return ""

    def stalled(self, uploads: Sequence[Upload], now: float) -> list[Upload]:
        return [upload for upload in uploads if now - upload.progress_at > self.idle]


def _full(uploads: Sequence[Upload], declared: int, most: int, most_bytes: int) -> bool:
    on_their_way = sum(upload.declared for upload in uploads)
    return len(uploads) >= most or (len(uploads) > 0 and on_their_way + declared > most_bytes)
