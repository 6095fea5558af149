"""Which hub a command speaks to, and as whom.

The one on this machine whose state `FLIP_HUB__STATE` names; or else the one that `flip-hub login` named; or else the
one on this machine.
"""

import os
import socket
from pathlib import Path
from typing import TypeVar

from flip_hub.alerts_client import AlertsApi
from flip_hub.client import HubApi
from flip_hub.datasets_client import DatasetsApi
from flip_hub.hub_calls import HubCalls
from flip_hub.people_client import PeopleApi
from flip_hub.rollouts_client import RolloutsApi
from flip_hub.session_file import LOG_IN, SavedSession, load_session, renew_session
from flip_hub.settings import Settings
from flip_runtime.config import load_config
from flip_runtime.errors import Rejected

C = TypeVar("C", bound=HubCalls)
STATE = "FLIP_HUB__STATE"


def the_hub() -> HubApi:
    """Raises `Rejected` where there is neither a login nor a hub on this machine whose socket we may use."""
    return _connected(HubApi)


def the_people() -> PeopleApi:
    """The same hub, about people."""
    return _connected(PeopleApi)


def the_alerts() -> AlertsApi:
    """The same hub, about alerts."""
    return _connected(AlertsApi)


def the_rollouts() -> RolloutsApi:
    """The same hub, about rollouts."""
    return _connected(RolloutsApi)


def the_datasets() -> DatasetsApi:
    """The same hub, about datasets."""
    return _connected(DatasetsApi)


def logged_in(kind: type[C], saved: SavedSession) -> C:
    """The hub of that login; the session is renewed when it must be."""
    hub = kind(saved.url, ca=saved.ca)
    hub.bear(saved.session, lambda calls, stale: renew_session(stale, lambda s: calls.refresh(s.refresh_token)))
    return hub


def named_state() -> str:
    """Of a hub on this machine, as the environment names it; empty: it names none."""
    return os.environ.get(STATE, "")


def _connected(kind: type[C]) -> C:
    saved = load_session()
    if saved is not None and not named_state():
        return logged_in(kind, saved)
    local = load_config(Settings, None).hub.admin_socket
    if answers(local):
        return kind.on_this_machine(local)
    if saved is not None:
        raise Rejected(
            f"no hub answers at {local}, which {STATE} names",
            hint=f"start it: flip-hub serve; for the hub of your login, {saved.url}, unset {STATE}",
        )
    if os.path.exists(local):  # also where we may not look into its folder
        hint = f"start it: flip-hub serve; be root or its user; for another hub {LOG_IN}"
        raise Rejected(f"the hub on this machine does not answer ({local})", hint=hint)
    hint = f"{LOG_IN}; on the hub's own machine, be root or its user, and set {STATE} as hub.state says"
    raise Rejected("not logged in", hint=hint)


def answers(path: Path) -> bool:
    """Whether somebody listens on that socket."""
    with socket.socket(socket.AF_UNIX) as trial:
        try:
            trial.connect(str(path))
        except OSError:
            return False
        return True
