"""Which hub a command speaks to: that of the session which `flip-hub login` keeps."""

from flip_hub.client import HubApi
from flip_hub.session_file import load_session


def the_hub() -> HubApi:
    """Raises `Rejected` without a login."""
    session = load_session()
    return HubApi(session.url, session.token)
