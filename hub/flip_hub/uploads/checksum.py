"""The tus protocol's checksum of a part: `Upload-Checksum: ALGORITHM BASE64`."""

import base64
import binascii
import hashlib
import hmac

from flip_hub.problem import Refused

ALGORITHMS = ("sha256", "sha1")


class WrongChecksum(Refused):
    """The bytes that came are others than were sent."""

    status = 460  # of the tus protocol


class Checksum:
    def __init__(self, header: str) -> None:
        """Raises `Refused`."""
        algorithm, _, encoded = header.strip().partition(" ")
        hint = f"Upload-Checksum: ALGORITHM BASE64, with one of {', '.join(ALGORITHMS)}"
        if algorithm not in ALGORITHMS:
            raise Refused(f"no checksum {algorithm[:40]!r}", hint=hint)
        try:
            self._wanted = base64.b64decode(encoded, validate=True)
        except (binascii.Error, ValueError) as error:
            raise Refused("the checksum is no base64", hint=hint) from error
        self._digest = hashlib.new(algorithm)  # SHA-1 against accidents on the way only

    def update(self, content: bytes) -> None:
        self._digest.update(content)

    def check(self) -> None:
        """Raises `WrongChecksum`."""
        if not hmac.compare_digest(self._digest.digest(), self._wanted):
            raise WrongChecksum("the part does not have its checksum: it was thrown away", hint="send it again")
