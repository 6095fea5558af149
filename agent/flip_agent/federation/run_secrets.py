"""When runs are over, none of their secrets is left: those of a round that failed and has no next one, and keys for a
round that did not come."""

from flip_agent.federation.flower import context, context_state
from flip_agent.federation.mods.secure_update import STATE, end_round
from flip_agent.federation.session_store import SessionStore
from flip_runtime.errors import Corrupt


def forget_secrets(store: SessionStore) -> None:
    """On the disk when it returns. For when no run sends messages: one that goes on begins its round anew.

    Raises `Unavailable` when the disk is full.
    """
    for run_id in store.runs_with_context():
        try:
            before = store.context(run_id)
        except Corrupt:
            continue  # it is used for nothing
        if STATE.encode() not in before:
            continue  # most runs: their state, which may be large, is not taken apart
        around = context(run_id=run_id, node_id="0", node_config={}, run_config={}, state=before)
        end_round(around)
        store.keep_context(run_id, context_state(around))
