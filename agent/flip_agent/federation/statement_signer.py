"""Signs what this device contributes. The worker, in which an app runs, never sees the key: it says what its reply
holds, and the session signs that for the instruction which the worker was given, and for no other.
"""

import base64
import secrets

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from flwr.proto.message_pb2 import Message as MessageProto

from flip_agent.federation.flower import Instruction
from flip_agent.federation.frames import Sign
from flip_wire.fleet import DeviceId
from flip_wire.statements import Signed, Statement
from flip_wire.terms import Terms

_NONCE = 16
"""Bytes."""


class StatementSigner:
    def __init__(self, key: ec.EllipticCurvePrivateKey, device_id: DeviceId) -> None:
        """The device's P-384 key."""
        self._key = key
        self._device_id = device_id

    def sign(self, instruction: Instruction, terms: Terms, said: Sign) -> Signed:
        """Takes about a millisecond."""
        statement = Statement(
            device_id=self._device_id,
            run_id=terms.run_id,
            round=terms.round,
            phase=MessageProto.FromString(instruction.message).metadata.message_type.split(".")[0],
            base=said.base,
            content=said.content,
            samples=said.samples,
            nonce=secrets.token_hex(_NONCE),
        )
        signature = self._key.sign(statement.signed_content(), ec.ECDSA(hashes.SHA256()))
        return Signed(statement=statement, signature=base64.b64encode(signature).decode())
