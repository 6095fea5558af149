"""Signs model versions when they are registered: devices bring only what the key has signed that they learned when they
enrolled (`docs/decisions/19-signed-models.md`).
"""

import base64

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from flip_hub.apps.signatures import public_line
from flip_wire.keys import id_of_key
from flip_wire.models import ModelAssignment


class ModelSigner:
    def __init__(self, key: Ed25519PrivateKey) -> None:
        line = public_line(key)
        self._key = key
        self._id = id_of_key(line)
        self.line = line
        """The public key in OpenSSH's format."""
        self.keys = {self._id: line}
        """What devices learn: public keys by their id."""

    def sign(self, assignment: ModelAssignment) -> dict[str, str]:
        """By the id of the key; what `assignment` is signed with already does not count."""
        return {self._id: self.signature(assignment.statement())}

    def signature(self, statement: bytes) -> str:
        """Base64. Statements of each kind begin with a line of their own."""
        return base64.b64encode(self._key.sign(statement)).decode()
