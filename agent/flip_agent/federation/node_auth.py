"""Flower's node authentication, from the device's end: its key signs the time, by the hub's clock.

The hub refuses signatures dated outside -5 to +305 s of its own time. Its answers carry `Flip-Time`; after a 401 the
difference is corrected and the request sent once more. A signature serves for a minute: making and checking one takes
a millisecond on either side, and the hub knows one that it has checked.
"""

import base64
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime

from flwr.common.constant import TIMESTAMP_HEADER
from flwr.supercore.constant import FLEET_HTTP_PUBLIC_KEY_HEADER, FLEET_HTTP_SIGNATURE_HEADER
from flwr.supercore.primitives.asymmetric import bytes_to_private_key, public_key_to_bytes, sign_message

UNAUTHORIZED = 401
_SERVES_FOR = 60.0
"""Seconds, on the monotonic clock."""


class NodeAuth:
    """Shared by all that speak to the gateway, from any thread: one clock."""

    def __init__(self, key: bytes, clock: Callable[[], float] = time.time) -> None:
        """The device's P-384 key (PEM), and its clock, which may be wrong."""
        self._clock = clock
        self._key = bytes_to_private_key(key)
        self.public_key = public_key_to_bytes(self._key.public_key())
        self._offset = 0.0  # seconds that the hub's clock is ahead
        self._signed: dict[str, str] = {}
        self._signed_at = -_SERVES_FOR

    def headers(self) -> dict[str, str]:
        if time.monotonic() - self._signed_at >= _SERVES_FOR:
            self._signed, self._signed_at = self._sign(), time.monotonic()
        return self._signed

    def corrected(self, status: int, headers: Mapping[str, str]) -> bool:
        """Whether the request may be sent once more, because the answer has set the clock right."""
        if status != UNAUTHORIZED:
            return False
        try:
            offset = float(headers["Flip-Time"]) - self._clock()
        except (KeyError, ValueError):
            return False
        changed = abs(offset - self._offset) > 1.0
        self._offset = offset
        self._signed_at = -_SERVES_FOR
        return changed

    def _sign(self) -> dict[str, str]:
        timestamp = datetime.fromtimestamp(self._clock() + self._offset, UTC).isoformat()
        return {
            FLEET_HTTP_PUBLIC_KEY_HEADER: base64.b64encode(self.public_key).decode(),
            TIMESTAMP_HEADER: timestamp,
            FLEET_HTTP_SIGNATURE_HEADER: base64.b64encode(sign_message(self._key, timestamp.encode())).decode(),
        }
