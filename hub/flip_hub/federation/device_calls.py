"""The calls of devices that are being answered: a few of each at once, and none that is not enrolled or was revoked.

What a device has open when it is revoked is cut, whether it waits, reads or sends (`flip_hub.devices.leash`).
"""

from collections import Counter
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Protocol

from flip_hub.devices.leash import Leashes
from flip_hub.devices.schemas import Device, DeviceStatus
from flip_hub.problem import Forbidden, TooMany
from flip_wire.fleet import DeviceId

AT_ONCE = 16
"""Requests of one device: Flower's SuperNode has 2 pushes, 2 pulls and a heartbeat at a time."""


class Devices(Protocol):
    """What is needed of the device registry."""

    @property
    def leashes(self) -> Leashes: ...

    async def by_key(self, fingerprint: str) -> Device | None: ...


class DeviceCalls:
    def __init__(self, devices: Devices) -> None:
        self._devices = devices
        self._running: Counter[DeviceId] = Counter()

    @asynccontextmanager
    async def admitted(self, fingerprint: str) -> AsyncGenerator[Device]:
        """The device with that key, for one call. Raises `TooMany`; and `Forbidden`, in the midst of the block, too."""
        device = await self._devices.by_key(fingerprint)
        if device is None:
            raise Forbidden("no enrolled device has this key", hint="enrol it: flip-agent enrol URL --token TOKEN")
        if device.status is DeviceStatus.REVOKED:
            raise Forbidden(f"the device {device.name} was revoked", hint="an operator of the hub must enrol it again")
        if self._running[device.id] >= AT_ONCE:
            raise TooMany(f"more than {AT_ONCE} requests of this device at once", retry_after=1.0)
        self._running[device.id] += 1
        try:
            async with self._devices.leashes.held(device.id):
                yield device
        finally:
            self._running[device.id] -= 1
            if not self._running[device.id]:
                del self._running[device.id]
