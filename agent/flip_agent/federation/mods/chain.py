"""Which mods an instruction's terms put around the ClientApp, and in which order.

The record of the terms is taken out first: no app and no mod of Flower's sees it. The reply tells what was done.
"""

import math
from collections.abc import Callable, Sequence
from functools import partial

from flwr.app import ConfigRecord, Context, Message, RecordDict
from flwr.clientapp.typing import ClientAppCallable, Mod

from flip_agent.federation.mods.local_parts import LocalParts
from flip_agent.federation.mods.packed_update import PackedUpdate
from flip_agent.federation.mods.private_update import PrivateUpdate
from flip_agent.federation.mods.secure_update import SecureUpdate
from flip_update.secagg.parameters import FEWEST
from flip_wire.models import Sha256
from flip_wire.statements import Signed, content_hash
from flip_wire.terms import ACCOUNT, RECORD, Account, Terms, encode

_EXAMPLES = "num-examples"

Sign = Callable[[Sha256, Sha256, float | None], Signed]
"""Of the instruction's arrays, the reply's content, and the samples it stands on (`flip_wire.statements`)."""


def mods_of(terms: Terms | None, sign: Sign | None = None, *, secure_least: int = FEWEST) -> list[Mod]:
    """From the outermost to the one next to the app. `sign`: None where nobody signs what the reply holds;
    `secure_least`: the device's setting."""
    if terms is None:
        return []
    mods: list[Mod] = [Accounted(terms, sign)]
    if terms.secure:
        mods.append(SecureUpdate(terms.local, secure_least))
    if terms.form is not None and terms.form.codec != "float":
        mods.append(PackedUpdate(terms.form, terms.local))
    if terms.privacy is not None:
        mods.append(PrivateUpdate(terms.privacy, terms.local))
    if terms.local:
        mods.append(LocalParts(terms.local))
    return mods


def chain(app: ClientAppCallable, mods: Sequence[Mod]) -> ClientAppCallable:
    for mod in reversed(mods):
        app = partial(_call, mod, app)
    return app


class Accounted:
    """Takes the terms out of the instruction, and puts into the reply what it says of itself."""

    def __init__(self, terms: Terms, sign: Sign | None = None) -> None:
        self._terms = terms
        self._sign = sign

    def __call__(self, message: Message, context: Context, call_next: ClientAppCallable) -> Message:
        del message.content[RECORD]
        base = _base(message.content) if self._sign else None  # first: the app may change what it was given
        reply = call_next(message, context)
        if reply.has_content():
            reply.content[RECORD] = ConfigRecord({ACCOUNT: encode(self._account(reply.content, base))})
        return reply

    def _account(self, content: RecordDict, base: Sha256 | None) -> Account:
        terms, signed = self._terms, None
        if self._sign is not None and base is not None:
            records = {name: record.object_id for name, record in content.items() if name != RECORD}
            signed = self._sign(base, content_hash(records), _samples(content))
        return Account(run_id=terms.run_id, round=terms.round, form=terms.form, signed=signed)


def _base(content: RecordDict) -> Sha256:
    return content_hash({name: record.object_id for name, record in content.array_records.items()})


def _samples(content: RecordDict) -> float | None:
    numbers = [record.get(_EXAMPLES) for record in content.metric_records.values()]
    found = [float(number) for number in numbers if isinstance(number, int | float) and math.isfinite(number)]
    return found[0] if found else None


def _call(mod: Mod, call_next: ClientAppCallable, message: Message, context: Context) -> Message:
    return mod(message, context, call_next)
