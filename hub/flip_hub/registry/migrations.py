"""How a registry of an earlier schema version becomes one of this version; each step is numbered and taken once.

A step runs while no other hub prepares the registry, before the validators and indexes of this version are set. It may
have been cut off by a crash and begin again: it must then come to the same end. A hub of the version before may still
be writing while it runs. Version 1 is every registry from before versions were kept.
"""

from collections.abc import Awaitable, Callable

from msgspec import Struct

from flip_hub.mongo import Database, Document

OLDEST = 1


class Migration(Struct, frozen=True, kw_only=True):
    to: int
    """The schema version that a registry has afterwards."""
    why: str
    """For the log."""
    step: Callable[[Database], Awaitable[None]]


async def _tokens_for_several(database: Database) -> None:
    """A token was for one device; its id is made of its hash, which says nothing of the token."""
    used = {"$ifNull": ["$used_by", ""]}
    values: Document = {
        "id": {"$concat": ["tok-", {"$substrCP": ["$_id", 0, 12]}]},
        "created_at": "$expires_at",  # nobody has noted it
        "created_by": "",
        "uses": 1,
        "left": {"$cond": [{"$eq": [used, ""]}, 1, 0]},
        "keys": {"$cond": [{"$eq": [used, ""]}, [], ["$used_by"]]},
    }
    await database["enrolment_tokens"].update_many(
        {"id": {"$exists": False}}, [{"$set": values}, {"$unset": "used_by"}]
    )


async def _deployments(database: Database) -> None:
    """Which device runs which version was told by its last report alone."""
    enrolled = database["devices"].find({"revoked_at": {"$exists": False}}, {"reported.serving": 1})
    async for document in enrolled:
        for serving in (document.get("reported") or {}).get("serving", []):
            key = {"device_id": document["_id"], "model": serving["model"], "until": None}
            values = {"version": serving["version"], "since": serving["since"]}
            await database["deployments"].update_one(key, {"$setOnInsert": values}, upsert=True)


async def _fewer_indexes(database: Database) -> None:
    """One that changed with each heartbeat cost more than all that it found; the others have better ones."""
    gone = {"devices": "last_seen_1", "silences": "until_1", "late": "run_id_1_contribution.kept_at_-1"}
    for collection, index in gone.items():
        if index in await database[collection].index_information():
            await database[collection].drop_index(index)


MIGRATIONS: tuple[Migration, ...] = (
    Migration(to=2, why="enrolment tokens for several devices", step=_tokens_for_several),
    Migration(to=3, why="deployments are kept", step=_deployments),
    Migration(to=4, why="heartbeats change no index", step=_fewer_indexes),
)


def version_of(migrations: tuple[Migration, ...]) -> int:
    """That a hub with these migrations makes."""
    return migrations[-1].to if migrations else OLDEST
