"""Whose apps run on this device: those that a key has signed which it trusts (`flip_wire.apps` has the format).

The keys are the hub's, learned at enrolment, or those that the operator of the device names in their place.
"""

import base64
import binascii
from collections.abc import Mapping, Sequence

import msgspec
from cryptography.exceptions import InvalidSignature

from flip_agent.public_keys import load_public_key, named_keys
from flip_runtime.errors import Rejected
from flip_wire.apps import LICENSE_ENTRY, Verification, signed_content
from flip_wire.models import Sha256

_HOW_THE_HUB_TRUSTS = "flip-hub apps keys add FILE.pub, then flip-agent enrol --again on the device"
_HOW_THE_DEVICE_TRUSTS = "federation.trusted_app_keys on the device names whom it trusts: add the public key there"


class TrustedKeys:
    def __init__(self, keys: Mapping[str, str], *, how: str = _HOW_THE_HUB_TRUSTS) -> None:
        """Public keys in OpenSSH's format, by their id; `how` one more is added."""
        self._keys = keys
        self._how = how

    @classmethod
    def of(cls, learned: Mapping[str, str], named: Sequence[str] | None) -> "TrustedKeys":
        """`named` are public keys that stand in place of the `learned` ones. Raises `ConfigError`."""
        if named is None:
            return cls(learned)
        keys = named_keys(named, setting="federation.trusted_app_keys")
        return cls(keys, how=_HOW_THE_DEVICE_TRUSTS)

    def check(self, fab_hash: str, verifications: Mapping[str, str]) -> None:
        """Raises `Rejected` that says why the app does not run here."""
        signers = [key_id for key_id in verifications if key_id != LICENSE_ENTRY]
        if not signers:
            raise Rejected("nobody has signed the app", hint="flip-hub apps sign APP --key FILE")
        known = [key_id for key_id in signers if key_id in self._keys]
        if not known:
            reason = f"the app is signed by {', '.join(signers)}, which this device does not trust"
            raise Rejected(reason, hint=self._how)
        if not any(_signed(self._keys[key_id], fab_hash, verifications[key_id]) for key_id in known):
            raise Rejected(f"the signature of {', '.join(known)} is not one over this app")


def _signed(public_key: str, fab_hash: str, verification: str) -> bool:
    try:
        said = msgspec.json.decode(verification, type=Verification)
        signature = base64.urlsafe_b64decode(said.signature + "=" * (-len(said.signature) % 4))  # Flower's lacks it
        load_public_key(public_key).verify(signature, signed_content(Sha256(fab_hash), said.signed_at))
    except (InvalidSignature, msgspec.DecodeError, binascii.Error, ValueError, OverflowError):
        return False
    return True
