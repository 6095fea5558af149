"""What the hub wants of this device: asked by long poll, kept on disk, so that a restart needs no hub."""

import asyncio
import logging
from pathlib import Path

import msgspec

from flip_agent.hub.client import HubClient
from flip_agent.network.thrift import Thrift
from flip_agent.state_folder import DESIRED_FILE
from flip_agent.watched import Watched
from flip_runtime.atomic import write_file
from flip_runtime.backoff import Backoff
from flip_runtime.errors import Unavailable
from flip_wire.fleet import DesiredState

log = logging.getLogger(__name__)

UNKNOWN = DesiredState(generation=-1)
"""Before the hub was first heard; no hub counts below zero."""


def load_desired(state: Path) -> DesiredState:
    """A damaged file counts as none: the hub tells the whole again."""
    path = state / DESIRED_FILE
    try:
        return msgspec.json.decode(path.read_bytes(), type=DesiredState)
    except FileNotFoundError:
        return UNKNOWN
    except (OSError, ValueError) as error:  # also of text that is no UTF-8
        log.warning(
            "desired state is unreadable, asking the hub for it", extra={"file": str(path), "error": str(error)}
        )
        return UNKNOWN


class DesiredStatePoll:
    """Everything that comes is on the disk before anybody acts on it."""

    def __init__(self, state: Path, hub: HubClient, desired: Watched[DesiredState], thrift: Thrift) -> None:
        self._file = state / DESIRED_FILE
        self._hub = hub
        self._desired = desired
        self._thrift = thrift
        self._backoff = Backoff()

    async def run(self) -> None:
        failures = 0
        while True:
            try:
                await self._thrift.rest()
                newer = await self._hub.desired(self._desired.value.generation)
                if newer is not None:
                    self._take(newer)
                failures = 0
            except Unavailable as error:
                failures += 1
                await asyncio.sleep(max(self._backoff.delay(failures), error.retry_after or 0.0))

    def _take(self, newer: DesiredState) -> None:
        try:
            write_file(self._file, msgspec.json.encode(newer))
        except OSError as error:  # a condition says so
            raise Unavailable(f"cannot write {self._file}: {error.strerror}", hint="make room on the disk") from error
        log.info("desired state changed", extra={"generation": newer.generation})
        self._desired.set(newer)
