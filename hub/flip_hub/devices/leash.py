"""Ends what a device has under way at the hub in the moment in which it is revoked.

A call is tied to its device before it is known whether the device may call: so a revocation in between cuts it, too.
It costs no task and no timer.
"""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from flip_hub.problem import Forbidden
from flip_wire.fleet import DeviceId


class Leash:
    """Of one call; it ends the task that entered it."""

    def __init__(self) -> None:
        self._timeout = asyncio.timeout(None)
        self._over = False
        self._leashes: Leashes | None = None
        self._device = DeviceId("")

    async def __aenter__(self) -> "Leash":
        await self._timeout.__aenter__()
        return self

    async def __aexit__(self, *error: object) -> None:
        """Raises `Forbidden` when it was cut."""
        self._over = True
        if self._leashes is not None:
            self._leashes.untie(self._device, self)
        try:
            await self._timeout.__aexit__(*error)  # pyright: ignore[reportArgumentType]
        except TimeoutError as cut:
            raise revoked() from cut

    def tie(self, leashes: "Leashes", device_id: DeviceId) -> None:
        self._leashes, self._device = leashes, device_id
        leashes.tie(device_id, self)

    def cut(self) -> None:
        if not self._over:
            self._timeout.reschedule(asyncio.get_running_loop().time())


class Leashes:
    def __init__(self) -> None:
        self._tied: dict[DeviceId, set[Leash]] = {}

    @asynccontextmanager
    async def held(self, device_id: DeviceId) -> AsyncGenerator[None]:
        """Raises `Forbidden` as soon as the device is revoked."""
        async with Leash() as leash:
            leash.tie(self, device_id)
            yield

    def tie(self, device_id: DeviceId, leash: Leash) -> None:
        self._tied.setdefault(device_id, set()).add(leash)

    def untie(self, device_id: DeviceId, leash: Leash) -> None:
        tied = self._tied.get(device_id, set())
        tied.discard(leash)
        if not tied:
            self._tied.pop(device_id, None)

    def cut(self, device_id: DeviceId) -> None:
        for leash in tuple(self._tied.get(device_id, ())):
            leash.cut()

    def of(self, device_id: DeviceId) -> int:
        """How many calls it has under way."""
        return len(self._tied.get(device_id, ()))


def revoked() -> Forbidden:
    return Forbidden("this device is revoked", hint="delete its device.key, then flip-agent enrol --again")
