"""The audit of a hub, put together from its settings; by the hub, and by commands that run on its machine."""

from flip_hub.audit.head import PURPOSE, HeadFile
from flip_hub.audit.service import Audit
from flip_hub.audit.store import AuditStore
from flip_hub.auth.tokens import Tokens
from flip_hub.credentials import load_credentials
from flip_hub.mongo import Database
from flip_hub.settings import Settings


def audit_secret(settings: Settings) -> bytes:
    """Signs the head. Raises `ConfigError` for a state folder that was never initialised."""
    return Tokens(load_credentials(settings.hub.state).token_secret, settings.auth).secret_for(PURPOSE)


def head_file(settings: Settings) -> HeadFile:
    return HeadFile(settings.hub.state, audit_secret(settings))


def audit_of(settings: Settings, database: Database) -> Audit:
    return Audit(AuditStore(database), head_file(settings))
