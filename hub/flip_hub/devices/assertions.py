"""A device proves that it holds its key: a signed assertion is exchanged for a token, each nonce once."""

import math
import time

from flip_hub.auth.tokens import Tokens
from flip_hub.devices.keys import signed_by
from flip_hub.devices.service import DeviceService
from flip_hub.devices.store import DeviceStore
from flip_hub.problem import Unauthorized, Unprocessable
from flip_wire.fleet import DeviceToken, TokenRequest

WINDOW = 300.0
"""Seconds by which the device's clock may differ from the hub's, either way."""
NONCE_LENGTH = range(8, 129)
LONGEST_LIFE = 64


class Assertions:
    """The order of checks matters: only a true signature uses up a nonce."""

    def __init__(self, devices: DeviceService, store: DeviceStore, tokens: Tokens) -> None:
        self._devices = devices
        self._store = store
        self._tokens = tokens

    async def exchange(self, request: TokenRequest) -> DeviceToken:
        """Raises `Unauthorized`, or `Forbidden` for a revoked device."""
        if len(request.nonce) not in NONCE_LENGTH or not math.isfinite(request.issued_at):
            raise Unprocessable("nonce must have 8 to 128 characters", hint="send random hexadecimal digits")
        if not (request.nonce.isprintable() and request.life.isprintable() and len(request.life) <= LONGEST_LIFE):
            # a line break could turn a part of one into the other, under the same signature
            raise Unprocessable("nonce and life must be printable", hint="send random hexadecimal digits")
        record = await self._devices.check_enrolled(request.device_id)
        if not signed_by(record.public_key, request.signature, request.assertion()):
            raise Unauthorized("the signature is not of this device's key", hint="was the device enrolled anew?")
        ahead = request.issued_at - time.time()
        if abs(ahead) > WINDOW:
            hint = "set the device's clock, or take the time from the Flip-Time header and sign again"
            raise Unauthorized(f"the assertion's time is {ahead:+.0f} s off the hub's", hint=hint)
        if not await self._store.use_nonce(request.device_id, request.nonce):
            raise Unauthorized("this assertion was used before", hint="sign one with another nonce")
        await self._devices.seen(request.device_id)
        return self._tokens.for_device(request.device_id, request.life)
