"""A stored file is whole and what its name says, or it is not there: in a folder, and in an S3-compatible bucket."""

import hashlib
import os
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto.server import ThreadedMotoServer
from msgspec import Struct

from flip_hub.artifacts.artifacts import Artifacts
from flip_hub.artifacts.bucket import BucketArtifacts, bucket
from flip_hub.artifacts.folder import FolderArtifacts
from flip_hub.settings import ArtifactsSection
from flip_runtime.errors import ConfigError, Corrupt, Rejected, Unavailable
from flip_wire.models import Sha256

LIMIT = 20 * 2**20


class Place(Struct, frozen=True):
    """Where artifacts lie, and how a test looks at it and harms it."""

    make: Callable[[], Artifacts]
    files: Callable[[], list[str]]
    damage: Callable[[str, bytes], None]


@pytest.fixture(scope="module")
def s3() -> Iterator[tuple[str, Any]]:
    """An S3-compatible server, and a client of Amazon's own to look at it with."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    url = "http://127.0.0.1:{1}".format(*server.get_host_and_port())
    client: Any = boto3.client(
        "s3", endpoint_url=url, aws_access_key_id="key", aws_secret_access_key="secret", region_name="us-east-1"
    )
    yield url, client
    server.stop()


@pytest.fixture
def in_folder(folder: Path) -> Place:
    root = folder / "artifacts"

    def files() -> list[str]:
        return sorted(path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file())

    def damage(name: str, content: bytes) -> None:
        (root / name[:2] / name).write_bytes(content)

    return Place(lambda: FolderArtifacts(root, limit=LIMIT), files, damage)


@pytest.fixture
def in_bucket(s3: tuple[str, Any], folder: Path) -> Place:
    url, client = s3
    name = folder.name.lower().replace("_", "-")
    client.create_bucket(Bucket=name)
    for file in ("key", "secret"):
        (folder / file).write_text(f"{file}\n")
    settings = ArtifactsSection(
        url=f"s3://{name}/flip", endpoint=url, access_key_file=folder / "key", secret_key_file=folder / "secret"
    )

    def files() -> list[str]:
        left = client.list_multipart_uploads(Bucket=name).get("Uploads", [])
        found = client.list_objects_v2(Bucket=name).get("Contents", [])
        return sorted(each["Key"].removeprefix("flip/artifacts/") for each in [*left, *found])

    def damage(key: str, content: bytes) -> None:
        client.put_object(Bucket=name, Key=f"flip/artifacts/{key}", Body=content)

    return Place(lambda: BucketArtifacts(bucket(settings, "artifacts"), limit=LIMIT), files, damage)


@pytest.fixture(params=["in_folder", "in_bucket"])
def place(request: pytest.FixtureRequest) -> Place:
    return request.getfixturevalue(request.param)


@pytest.fixture
def store(place: Place) -> Artifacts:
    made = place.make()
    made.create()
    return made


def sha256(content: bytes) -> Sha256:
    return Sha256(hashlib.sha256(content).hexdigest())


async def chunks(*parts: bytes) -> AsyncIterator[bytes]:
    for part in parts:
        yield part


@pytest.mark.asyncio
async def test_a_file_is_found_under_its_hash(store: Artifacts, place: Place) -> None:
    content = b"weights" * 2_000_000
    name = sha256(content)
    assert not await store.holds(name)
    assert await store.put_stream(name, chunks(content[:9_000_000], content[9_000_000:])) == len(content)
    assert (await store.holds(name), await store.size(name)) == (True, len(content))
    assert await store.read(name) == content
    assert await store.all() == [name]
    assert [file.rsplit("/", 1)[-1] for file in place.files()] == [name]


@pytest.mark.asyncio
async def test_a_part_is_read_from_any_byte_on(store: Artifacts) -> None:
    content = bytes(range(256)) * 10_000
    name = await store.put(content)
    got = b"".join([block async for block in store.stream(name, 1_000_003, len(content) - 5)])
    assert got == content[1_000_003:-5]
    assert [block async for block in store.stream(name, 7, 7)] == []


@pytest.mark.asyncio
async def test_what_is_not_whole_and_right_leaves_nothing(store: Artifacts, place: Place) -> None:
    async def broken() -> AsyncIterator[bytes]:
        yield b"first part" * 2**20
        raise ConnectionResetError

    with pytest.raises(Rejected, match="has hash"):
        await store.put_stream(sha256(b"expected"), chunks(b"something else" * 2**20))
    with pytest.raises(Rejected, match="more than"):
        await store.put_stream(sha256(b""), chunks(*[bytes(2**20)] * 21))
    with pytest.raises(ConnectionResetError):
        await store.put_stream(sha256(b"first part and more"), broken())
    assert place.files() == []


@pytest.mark.asyncio
async def test_a_damaged_file_is_noticed_moved_aside_and_can_be_stored_anew(store: Artifacts, place: Place) -> None:
    name = await store.put(b"content of a file")
    place.damage(name, b"Content of a file, or of another one")
    with pytest.raises(Corrupt, match="damaged"):
        await store.check(name)
    assert not await store.holds(name)
    assert place.files() == [f"damaged/{name}"]
    with pytest.raises(Corrupt, match="missing"):
        await store.verify(name)
    await store.put(b"content of a file")
    assert await store.read(name) == b"content of a file"


@pytest.mark.asyncio
async def test_damage_from_before_this_process_is_noticed(store: Artifacts, place: Place) -> None:
    name = await store.put(b"content")
    place.damage(name, b"c0ntent")
    with pytest.raises(Corrupt, match="damaged"):
        await place.make().read(name)


@pytest.mark.asyncio
@pytest.mark.parametrize("name", ["", "../../etc/passwd", "A" * 64, "0" * 63, "0" * 64 + "/..", "incoming"])
async def test_a_name_that_is_no_hash_is_refused(store: Artifacts, name: str) -> None:
    with pytest.raises(Rejected, match="no SHA-256"):
        await store.size(name)
    with pytest.raises(Rejected, match="no SHA-256"):
        await store.put_stream(name, chunks(b"x"))


@pytest.mark.asyncio
async def test_a_missing_file_has_no_size_and_is_removed_already(store: Artifacts) -> None:
    with pytest.raises(Corrupt, match="missing"):
        await store.size(sha256(b"never stored"))
    await store.remove(sha256(b"never stored"))
    kept = await store.put(b"kept")
    await store.remove(kept)
    assert await store.all() == []


def test_what_a_crash_left_half_written_is_cleared_but_not_what_another_hub_writes(
    in_folder: Place, folder: Path
) -> None:
    incoming = folder / "artifacts" / "incoming"
    incoming.mkdir(parents=True)
    for name, age in (("abandoned", 25 * 3600), ("being-written", 60)):
        (incoming / name).write_bytes(b"half")
        os.utime(incoming / name, (time.time() - age, time.time() - age))
    in_folder.make().create()
    assert in_folder.files() == ["incoming/being-written"]


@pytest.mark.asyncio
async def test_a_bucket_that_does_not_answer_is_said(folder: Path) -> None:
    (folder / "key").write_text("key")
    away = ArtifactsSection(
        url="s3://flip",
        endpoint="http://127.0.0.1:9",
        access_key_file=folder / "key",
        secret_key_file=folder / "key",
    )
    with pytest.raises(Unavailable, match="the artifact store does not answer"):
        await BucketArtifacts(bucket(away, "artifacts")).holds("0" * 64)
    with pytest.raises(ConfigError, match=r"artifacts\.url"):
        bucket(ArtifactsSection(url="gs://flip"), "artifacts")
    with pytest.raises(ConfigError, match=r"artifacts\.access_key_file"):
        bucket(ArtifactsSection(url="s3://flip", access_key_file=folder / "none", secret_key_file=folder / "key"), "a")
