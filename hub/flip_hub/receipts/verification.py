"""Whether a run's chain of receipts is whole, by its public keys alone: no hub, no registry and no Flower is needed."""

import base64
import binascii
from collections.abc import Mapping

from cryptography.exceptions import InvalidSignature
from msgspec import Struct

from flip_hub.apps.signatures import load_public_key
from flip_hub.receipts.chain import End, ReceiptEntry, ReceiptSeal, digest, end
from flip_hub.receipts.signatures import is_signed_by
from flip_runtime.errors import Rejected
from flip_wire.contributions import Fate
from flip_wire.fleet import DeviceId


class Broken(Struct, frozen=True, kw_only=True):
    seq: int
    """Of the first entry that is not as it was written; one more than the last where the seal does not fit."""
    what: str
    """In words for people."""


class Verification:
    """Takes the entries one by one; memory grows with the statements that were accepted, 32 bytes each."""

    def __init__(self, run_id: str, keys: Mapping[DeviceId, str] | None = None, hub_key: str = "") -> None:
        """`keys`: PEM of all devices, `hub_key`: the hub's line, as they are known from elsewhere; else those in the
        chain."""
        self._run_id = run_id
        self._keys = keys
        self._hub_key = hub_key
        self._accepted: set[bytes] = set()
        self.end = End()
        self.signed = 0
        """Entries with a device's signature that is good."""

    def take(self, entry: ReceiptEntry) -> Broken | None:
        """What is wrong with it, if anything: nothing after it says anything any more."""
        what = self._misplaced(entry) or self._forged(entry)
        if what:
            return Broken(seq=entry.seq, what=what)
        self.end = end(entry)
        self.signed += entry.signed is not None
        return None

    def finish(self, seal: ReceiptSeal | None) -> Broken | None:
        """After the last."""
        what = self._unsealed(seal)
        return Broken(seq=self.end.seq + 1, what=what) if what else None

    def _misplaced(self, entry: ReceiptEntry) -> str:
        expected = self.end.seq + 1
        if entry.run_id != self._run_id:
            return f"entry {entry.seq} is of another run, {entry.run_id}"
        if entry.seq != expected:
            return f"entry {expected} was removed, or another put in its place: entry {entry.seq} stands there"
        if digest(entry) != entry.hash:
            return f"entry {entry.seq} was altered"
        if entry.before != self.end.hash:
            return f"entry {entry.seq} does not follow entry {self.end.seq}: one of them was written anew"
        return ""

    def _forged(self, entry: ReceiptEntry) -> str:
        named = f"entry {entry.seq} (round {entry.round}, {entry.device_id or 'a device that is not known'})"
        if entry.signed is None:
            return f"{named} has a key and no signature" if entry.key else ""
        said = entry.signed.statement
        if self._keys is not None and entry.device_id not in self._keys:
            return f"{named} is of a device whose key is not among those given"
        if self._keys is not None and self._keys[entry.device_id].strip() != entry.key.strip():
            return f"{named} is signed with another key than that device's"
        if not is_signed_by(entry.key, entry.signed):
            return f"{named}: the device's signature is not good"
        if entry.fate is Fate.REFUSED:
            return ""  # perhaps for what it says
        if (said.run_id, said.device_id) != (entry.run_id, entry.device_id):
            return f"{named}: what is signed is of {said.device_id} in {said.run_id}"
        if entry.round and (said.round, said.phase) != (entry.round, entry.phase):
            return f"{named}: what is signed is {said.phase} of round {said.round}"
        statement = bytes.fromhex(said.digest)
        if entry.fate is Fate.ACCEPTED and statement in self._accepted:
            return f"{named}: what is signed was accepted before"
        self._accepted.add(statement)
        return ""

    def _unsealed(self, seal: ReceiptSeal | None) -> str:
        if seal is None:
            return "the hub's seal is missing"
        if self._hub_key and " ".join(self._hub_key.split()[:2]) != " ".join(seal.key.split()[:2]):
            return "the seal is signed with another key than the hub's"
        try:
            load_public_key(seal.key).verify(base64.b64decode(seal.signature), seal.signed_content())
        except (InvalidSignature, Rejected, binascii.Error, ValueError):
            return "the seal is not signed with the key that it names"
        if seal.run_id != self._run_id:
            return f"the seal is of another run, {seal.run_id}"
        if seal.entries > self.end.seq:
            return f"entries {self.end.seq + 1} to {seal.entries} were removed from the end"
        if (seal.entries, seal.hash) != (self.end.seq, self.end.hash):
            return "the chain is not the one that was sealed: entries were put in, or all of it was written anew"
        return ""
