"""Actions: in the device's desired state from when they are asked until their result is known or their time is over.

Any hub may take a result, deliver or expire; each step is made once. A device that sends its result again, because it
was not answered, changes nothing.
"""

import asyncio
import secrets
import time
from collections.abc import Sequence

import msgspec
import zstandard

from flip_hub.actions.schemas import LONGEST_LIFETIME, ActionRequest, ActionState, DeviceAction
from flip_hub.actions.store import ActionStore
from flip_hub.api.pages import Page, Wanted
from flip_hub.devices.record import OpenAction
from flip_hub.devices.service import DeviceService
from flip_hub.live import ListGrew, Listing, LiveHub, More
from flip_hub.problem import Conflict, NotFound, TooLarge, Unprocessable
from flip_wire.actions import MOST_INPUT, Action, ActionId, ActionKind, ActionResult, Outcome
from flip_wire.fleet import DeviceId

MOST_OPEN = 16
"""Actions of one device."""
LOOK_EVERY = 2.0
RESULT_WITHIN = 3600.0
"""Seconds after its expiry that a device which has an action may take to do it and be heard."""
_MOST_LOG_TEXT = 32 * 2**20
"""Bytes, decompressed."""
_ENDS = {
    Outcome.DONE: ActionState.DONE,
    Outcome.FAILED: ActionState.FAILED,
    Outcome.EXPIRED: ActionState.EXPIRED,
}


class ActionService:
    def __init__(self, store: ActionStore, devices: DeviceService, live: LiveHub) -> None:
        self._store = store
        self._devices = devices
        self._live = live

    # ---- people -------------------------------------------------------------------------------------------------

    async def ask(self, device_id: DeviceId, wanted: ActionRequest, *, by: str) -> DeviceAction:
        """Raises `NotFound`, `Unprocessable`, or `Conflict` for a device that was revoked or has too many to do."""
        if not 0 < wanted.lifetime <= LONGEST_LIFETIME:
            raise Unprocessable("lifetime must be more than 0 seconds and at most 30 days", hint="3600 is an hour")
        if wanted.model and wanted.kind not in (ActionKind.ROLLBACK, ActionKind.TRY):
            raise Unprocessable("only a rollback and a trial are of a model", hint="leave model out")
        if (wanted.input is not None) != (wanted.kind is ActionKind.TRY):
            raise Unprocessable("a trial needs an input, and nothing else takes one", hint='{"inputs": [...]}')
        given = "" if wanted.input is None else msgspec.json.encode(wanted.input).decode()
        if len(given) > MOST_INPUT:
            raise Unprocessable(f"an input of more than {MOST_INPUT} characters", hint="ask the device's own server")
        device = await self._devices.get(device_id)
        if device.revoked:
            raise Conflict(f"{device.name} is revoked", hint="it hears nothing any more")
        now = time.time()
        action = DeviceAction(
            id=ActionId(f"act-{secrets.token_hex(6)}"),
            device=device_id,
            kind=wanted.kind,
            state=ActionState.QUEUED,
            asked_by=by,
            asked_at=now,
            expires_at=now + wanted.lifetime,
            model=wanted.model,
            reason=wanted.reason,
        )
        await self._store.add(action)
        sent = Action(
            id=action.id,
            kind=action.kind,
            expires_at=action.expires_at,
            model=action.model,
            reason=action.reason,
            input=given,
        )
        if not await self._devices.open_action(device_id, OpenAction(action=sent, since=now), MOST_OPEN):
            await self._store.expire(action, "the device had too many to do", now)
            raise Conflict(f"{device.name} has {MOST_OPEN} actions to do", hint="wait until they are done or expire")
        self._tell(device_id)
        return action

    async def page(self, device_id: DeviceId, wanted: Wanted) -> Page[DeviceAction]:
        """Newest first. Raises `NotFound` for an unknown device."""
        await self._devices.get(device_id)
        return await self._store.page(device_id, wanted)

    async def get(self, device_id: DeviceId, action_id: ActionId) -> DeviceAction:
        """Raises `NotFound`."""
        found = await self._store.get(device_id, action_id)
        if found is None:
            raise NotFound(f"this device has no action {action_id!r}", hint="list its actions")
        return found

    async def log(self, device_id: DeviceId, action_id: ActionId) -> bytes:
        """The text that came with the result, empty without one. Raises `NotFound`, `TooLarge`."""
        await self.get(device_id, action_id)
        packed = await self._store.log(device_id, action_id)
        return b"" if not packed else await asyncio.to_thread(_unpacked, packed)

    # ---- devices ------------------------------------------------------------------------------------------------

    async def held(self, device_id: DeviceId, generation: int | None) -> None:
        """The device has on its disk what was wanted of it at that generation."""
        desired = await self._devices.desired_of(device_id)
        ids = [action.id for action in desired.actions]
        if ids and desired.generation == generation and await self._store.deliver(ids, time.time()):
            self._tell(device_id)

    async def take(self, device_id: DeviceId, results: Sequence[ActionResult]) -> None:
        """On return they are kept, and not wanted of the device any more. A result of another device's action, or of
        one that nobody asked, is not."""
        for result in results:
            if await self._store.end(device_id, result, _ENDS[result.outcome], time.time()):
                self._tell(device_id)
            await self._devices.close_action(device_id, result.id)

    async def watch(self) -> None:
        """Ends what nobody has begun in time; runs until it is cancelled."""
        while True:
            now = time.time()
            for action in await self._store.over(now, now - RESULT_WITHIN):
                text = "the device did not hear of it in time"
                if action.state is ActionState.DELIVERED:
                    text = "the device had it, and has not told what came of it"
                if await self._store.expire(action, text, now) is not None:
                    await self._devices.close_action(action.device, action.id)
                    self._tell(action.device)
            await asyncio.sleep(LOOK_EVERY)

    def _tell(self, device_id: DeviceId) -> None:
        self._live.publish(ListGrew(data=More(of=Listing.ACTIONS, id=device_id)))


def _unpacked(packed: bytes) -> bytes:
    try:
        with zstandard.ZstdDecompressor().stream_reader(packed) as reader:
            text = reader.read(_MOST_LOG_TEXT + 1)
    except zstandard.ZstdError as error:
        raise Unprocessable(f"what the device sent as its log is no zstd: {error}") from error
    if len(text) > _MOST_LOG_TEXT:
        raise TooLarge(f"the log has more than {_MOST_LOG_TEXT} bytes")
    return text
