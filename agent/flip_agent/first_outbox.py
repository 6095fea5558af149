"""The outbox of a starting agent: on a disk that is too full for its files, room is made, or more is waited for."""

import asyncio
import contextlib
import logging
from collections.abc import Callable
from pathlib import Path

from flip_agent.health.conditions import DISK_LOW, INODES_LOW
from flip_agent.health.device_checks import machine_checks
from flip_agent.health.hardware import Hardware
from flip_agent.outbox.outbox import Outbox
from flip_agent.settings import Settings
from flip_agent.start_counter import Mode
from flip_agent.watched import Watched
from flip_runtime.errors import Unavailable
from flip_wire.fleet import DesiredState
from flip_wire.health import Repair

log = logging.getLogger(__name__)

_LOOK_FOR_ROOM = 5.0
"""Seconds."""


async def open_outbox(
    settings: Settings,
    stop: asyncio.Event,
    mode: Mode,
    repairs: list[Repair],
    load_desired: Callable[[Path], DesiredState],
) -> Outbox | None:
    """None when told to stop meanwhile; what was mended is added to `repairs`."""
    reason = ""
    while not stop.is_set():
        try:
            return await Outbox.open(settings.agent.state / "outbox.db", max_bytes=settings.outbox.max_bytes)
        except Unavailable as error:
            if str(error) != reason:
                reason = str(error)
                log.error("no outbox yet, trying again", extra={"reason": reason, "hint": error.hint})
        if mode is not Mode.SAFE and (made := _room_made(settings, load_desired(settings.agent.state))):
            repairs += made
            continue
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_LOOK_FOR_ROOM):
                await stop.wait()
    return None


def _room_made(settings: Settings, desired: DesiredState) -> list[Repair]:
    checks = machine_checks(lambda: settings, Hardware(settings.agent.machine), Watched(desired))
    repairs = [check.repaired() for check in checks if check.declaration in (DISK_LOW, INODES_LOW) and check.look()]
    return [repair for repair in repairs if repair]
