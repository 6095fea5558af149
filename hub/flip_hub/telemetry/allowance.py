"""How often a device may call: a token bucket for each. One device that runs wild does not take the others' turn."""

import math
import time
from collections import OrderedDict
from collections.abc import Callable

from msgspec import Struct

from flip_hub.problem import TooMany
from flip_wire.fleet import DeviceId

MOST = 50_000
"""Buckets; the one that was used least recently is forgotten, and is full again."""


class _Bucket(Struct):
    left: float
    at: float


class Allowance:
    """`rate` calls a second on average, `burst` at once; a rate of 0 allows any number."""

    def __init__(
        self, rate: float, burst: int, *, most: int = MOST, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._rate = rate
        self._burst = float(burst)
        self._most = most
        self._clock = clock
        self._buckets: OrderedDict[DeviceId, _Bucket] = OrderedDict()

    def take(self, device_id: DeviceId) -> None:
        """Raises `TooMany` with the seconds until there is one again."""
        if not self._rate:
            return
        now = self._clock()
        bucket = self._buckets.get(device_id)
        if bucket is None:
            bucket = self._buckets[device_id] = _Bucket(self._burst, now)
            if len(self._buckets) > self._most:
                self._buckets.popitem(last=False)
        self._buckets.move_to_end(device_id)
        bucket.left = min(self._burst, bucket.left + (now - bucket.at) * self._rate)
        bucket.at = now
        if bucket.left < 1:
            wait = math.ceil((1 - bucket.left) / self._rate)
            raise TooMany("this device sends too often", hint=f"wait {wait} s; larger batches help", retry_after=wait)
        bucket.left -= 1
