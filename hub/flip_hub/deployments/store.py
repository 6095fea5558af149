"""Deployments in MongoDB: collection `deployments`, of each device and model one that goes on, and those of before."""

from collections.abc import Mapping, Sequence

import msgspec
from pymongo import DESCENDING, UpdateMany, UpdateOne

from flip_hub.deployments.schemas import Deployment
from flip_hub.mongo import Database, Document
from flip_wire.fleet import DeviceId, ServingModel


class DeploymentStore:
    def __init__(self, database: Database) -> None:
        self._deployments = database["deployments"]

    async def report(self, serving: Mapping[DeviceId, Sequence[ServingModel]], now: float) -> None:
        """What these devices serve: whatever else they served has ended. The same again changes nothing."""
        changes: list[UpdateMany | UpdateOne] = []
        for device_id, models in serving.items():
            going_on = {"device_id": device_id, "until": None}
            same = [{"model": each.model, "version": each.version} for each in models]
            changes.append(UpdateMany({**going_on, **({"$nor": same} if same else {})}, {"$set": {"until": now}}))
            changes += [
                UpdateOne({**going_on, "model": each.model}, {"$setOnInsert": _since(each)}, upsert=True)
                for each in models
            ]
        if changes:
            await self._deployments.bulk_write(changes, ordered=True)

    async def of_version(self, model: str, version: int, most: int) -> list[Deployment]:
        """Those that go on, the newest first."""
        found = self._deployments.find(_going_on(model, version)).sort("since", DESCENDING).limit(most)
        return [msgspec.convert(each, Deployment) async for each in found]

    async def count(self, model: str, version: int) -> int:
        """Of those that go on."""
        return await self._deployments.count_documents(_going_on(model, version))


def _since(serving: ServingModel) -> Document:
    return {"version": serving.version, "since": serving.since}


def _going_on(model: str, version: int) -> Document:
    return {"model": model, "version": version, "until": None}
