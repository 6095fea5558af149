"""The private mongod of demo and tests is a real one."""

import pytest
from motor.motor_asyncio import AsyncIOMotorClient


@pytest.mark.asyncio
async def test_a_document_can_be_written_and_read(mongo_url: str) -> None:
    client = AsyncIOMotorClient(mongo_url)
    await client["probe"]["things"].insert_one({"_id": 1, "name": "thing"})
    assert await client["probe"]["things"].find_one({"_id": 1}) == {"_id": 1, "name": "thing"}
    client.close()
