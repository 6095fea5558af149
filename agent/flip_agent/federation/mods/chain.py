"""Which mods an instruction's terms put around the ClientApp, and in which order.

The record of the terms is taken out first: no app and no mod of Flower's sees it. The reply tells what was done.
"""

from collections.abc import Sequence
from functools import partial

from flwr.app import ConfigRecord, Context, Message
from flwr.clientapp.typing import ClientAppCallable, Mod

from flip_agent.federation.mods.local_parts import LocalParts
from flip_agent.federation.mods.packed_update import PackedUpdate
from flip_agent.federation.mods.private_update import PrivateUpdate
from flip_wire.terms import ACCOUNT, RECORD, Account, Terms, encode


def mods_of(terms: Terms | None) -> list[Mod]:
    """From the outermost to the one next to the app."""
    if terms is None:
        return []
    mods: list[Mod] = [Accounted(terms)]
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

    def __init__(self, terms: Terms) -> None:
        self._terms = terms

    def __call__(self, message: Message, context: Context, call_next: ClientAppCallable) -> Message:
        del message.content[RECORD]
        reply = call_next(message, context)
        if reply.has_content():
            account = Account(run_id=self._terms.run_id, round=self._terms.round, form=self._terms.form)
            reply.content[RECORD] = ConfigRecord({ACCOUNT: encode(account)})
        return reply


def _call(mod: Mod, call_next: ClientAppCallable, message: Message, context: Context) -> Message:
    return mod(message, context, call_next)
