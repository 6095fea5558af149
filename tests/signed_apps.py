"""Apps as devices take them: signed by a key that they trust."""

import hashlib

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from flip_agent.federation.app_signature import TrustedKeys
from flip_agent.federation.flower import Fab
from flip_hub.apps.signatures import public_line, sign_app, verifications
from flip_wire.keys import id_of_key
from flip_wire.models import Sha256

_KEY = Ed25519PrivateKey.generate()
TRUSTED = TrustedKeys({id_of_key(public_line(_KEY)): public_line(_KEY)})


def signed_fab(content: bytes) -> tuple[Sha256, Fab]:
    fab_hash = Sha256(hashlib.sha256(content).hexdigest())
    said = verifications([sign_app(_KEY, fab_hash, at=1_800_000_000.0)])
    return fab_hash, Fab(content=content, verifications=said)
