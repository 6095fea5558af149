"""Verifies the audit of a registry against the head that this machine's hub has kept, without a hub running."""

from flip_hub.audit.build import head_file
from flip_hub.audit.store import AuditStore
from flip_hub.audit.verification import ChainVerdict, verify_chain
from flip_hub.mongo import DatabaseDown, Mongo
from flip_hub.settings import Settings
from flip_runtime.errors import Unavailable


async def inspect_audit(settings: Settings) -> ChainVerdict:
    """Raises `Unavailable` when the registry is away, `Corrupt` when the head is not this hub's."""
    head = head_file(settings).load()  # before the chain: it grows
    mongo = Mongo(settings.mongo)
    try:
        return await verify_chain(AuditStore(mongo.database), head)
    except DatabaseDown as error:
        hint = "start it, or correct mongo.url"
        raise Unavailable(f"MongoDB is not reachable at {mongo.server}", hint=hint) from error
    finally:
        mongo.close()
