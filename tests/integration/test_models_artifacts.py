"""A stored file is whole and what its name says, or it is not there."""

import hashlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from flip_hub.models.artifacts import ArtifactStore
from flip_runtime.errors import Corrupt, Rejected
from flip_wire.models import Sha256

pytestmark = pytest.mark.asyncio


def sha256(content: bytes) -> Sha256:
    return Sha256(hashlib.sha256(content).hexdigest())


async def chunks(*parts: bytes) -> AsyncIterator[bytes]:
    for part in parts:
        yield part


@pytest.fixture
def store(folder: Path) -> ArtifactStore:
    store = ArtifactStore(folder / "artifacts", limit=4 * 2**20)
    store.create()
    return store


def files(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


async def test_a_file_is_found_under_its_hash(store: ArtifactStore, folder: Path) -> None:
    content = b"weights" * 300_000
    name = sha256(content)
    assert not store.holds(name)
    assert await store.put_stream(name, chunks(content[:100_000], content[100_000:])) == len(content)
    assert (store.holds(name), store.size(name)) == (True, len(content))
    assert store.path(name) == folder / "artifacts" / name[:2] / name
    assert await store.read(name) == content
    assert files(folder) == [f"artifacts/{name[:2]}/{name}"]


async def test_a_part_is_read_from_any_byte_on(store: ArtifactStore) -> None:
    content = bytes(range(256)) * 10_000
    name = await store.put(content)
    got = b"".join([block async for block in store.stream(name, 1_000_003, len(content) - 5)])
    assert got == content[1_000_003:-5]


async def test_content_that_is_not_its_name_is_refused_and_leaves_nothing(store: ArtifactStore, folder: Path) -> None:
    with pytest.raises(Rejected, match="has hash"):
        await store.put_stream(sha256(b"expected"), chunks(b"something else"))
    assert files(folder) == []


async def test_more_than_the_limit_is_refused_while_it_arrives(store: ArtifactStore, folder: Path) -> None:
    with pytest.raises(Rejected, match="more than"):
        await store.put_stream(sha256(b""), chunks(*[bytes(2**20)] * 5))
    assert files(folder) == []


async def test_an_upload_that_breaks_off_leaves_nothing(store: ArtifactStore, folder: Path) -> None:
    async def broken() -> AsyncIterator[bytes]:
        yield b"first part"
        raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        await store.put_stream(sha256(b"first part and more"), broken())
    assert files(folder) == []


async def test_what_a_crash_left_half_written_is_cleared(store: ArtifactStore, folder: Path) -> None:
    kept = await store.put(b"kept")
    (folder / "artifacts" / "incoming" / f"{'0' * 64}.1").write_bytes(b"half")
    store.create()
    assert files(folder) == [f"artifacts/{kept[:2]}/{kept}"]


async def test_a_damaged_file_is_noticed_moved_aside_and_can_be_stored_anew(store: ArtifactStore) -> None:
    name = await store.put(b"content of a file")
    store.path(name).write_bytes(b"Content of a file")
    with pytest.raises(Corrupt, match="damaged"):
        await store.sound(name)
    assert not store.holds(name)
    with pytest.raises(Corrupt, match="missing"):
        await store.verify(name)
    await store.put(b"content of a file")
    assert await store.read(name) == b"content of a file"


async def test_damage_from_before_this_process_is_noticed(store: ArtifactStore, folder: Path) -> None:
    name = await store.put(b"content")
    store.path(name).write_bytes(b"c0ntent")
    with pytest.raises(Corrupt, match="damaged"):
        await ArtifactStore(folder / "artifacts").read(name)


@pytest.mark.parametrize("name", ["", "../../etc/passwd", "A" * 64, "0" * 63, "0" * 64 + "/..", "incoming"])
async def test_a_name_that_is_no_hash_is_refused(store: ArtifactStore, name: str) -> None:
    with pytest.raises(Rejected, match="no SHA-256"):
        store.path(name)
    with pytest.raises(Rejected, match="no SHA-256"):
        await store.put_stream(name, chunks(b"x"))


async def test_a_missing_file_has_no_size(store: ArtifactStore) -> None:
    with pytest.raises(Corrupt, match="missing"):
        store.size(sha256(b"never stored"))
