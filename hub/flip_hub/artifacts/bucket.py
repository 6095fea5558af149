"""Artifacts in a bucket of an S3-compatible store: for several hubs that share no folder.

An object's name is its hash. It is uploaded in parts and completed only when the hash is right, so nobody ever sees
half of one; what breaks off leaves nothing behind. One found damaged is copied to `damaged/` and removed.
"""

import asyncio
import hashlib
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import TYPE_CHECKING

import obstore
from obstore.exceptions import BaseError
from obstore.store import S3Store

from flip_hub.artifacts.artifacts import ARTIFACT_LIMIT, Receipt, check_name, damaged, is_name, missing
from flip_hub.settings import ArtifactsSection
from flip_runtime.config import secret_of
from flip_runtime.errors import ConfigError, Unavailable
from flip_wire.models import Sha256

if TYPE_CHECKING:
    from obstore.store import S3Config

SCHEME = "s3://"
_PART = 8 * 2**20
"""Bytes of one part of an upload; two are in memory at once."""
_BLOCK = 2**18


class BucketArtifacts:
    def __init__(self, store: S3Store, *, limit: int = ARTIFACT_LIMIT) -> None:
        self._store = store
        self._limit = limit
        self._sound: dict[str, str | None] = {}
        """The store's tag of the objects whose hash this process has seen to be right."""
        self._verifying = asyncio.Lock()

    def create(self) -> None:
        """The bucket is made by its owner."""

    # ---- reading ----

    async def holds(self, sha256: str) -> bool:
        return await self._tag(sha256) is not None

    async def size(self, sha256: str) -> int:
        try:
            async with _answering():
                return (await obstore.head_async(self._store, check_name(sha256)))["size"]
        except FileNotFoundError as error:
            raise missing(sha256) from error

    async def all(self) -> list[Sha256]:
        async with _answering():
            names = [each["path"] async for page in obstore.list(self._store) for each in page]
        return [Sha256(name) for name in names if is_name(name)]

    async def check(self, sha256: Sha256) -> None:
        async with self._verifying:
            tag = await self._tag(sha256)
            if tag is None or self._sound.get(sha256) != tag:
                await self.verify(sha256)

    async def verify(self, sha256: Sha256) -> None:
        digest = hashlib.sha256()
        async for block in self.stream(sha256, 0, await self.size(sha256)):
            digest.update(block)
        if (found := digest.hexdigest()) == sha256:
            self._sound[sha256] = await self._tag(sha256)
            return
        self._sound.pop(sha256, None)
        async with _answering():
            await obstore.copy_async(self._store, sha256, f"damaged/{sha256}")
            await obstore.delete_async(self._store, sha256)
        raise damaged(sha256, found, "damaged/ in the bucket")

    async def read(self, sha256: Sha256) -> bytes:
        await self.check(sha256)
        return b"".join([block async for block in self.stream(sha256, 0, await self.size(sha256))])

    async def stream(self, sha256: Sha256, start: int, stop: int) -> AsyncIterator[bytes]:
        if start == stop:
            return
        try:
            async with _answering():
                found = await obstore.get_async(self._store, check_name(sha256), options={"range": (start, stop)})
                async for block in found.stream(min_chunk_size=_BLOCK):
                    yield bytes(block)
        except FileNotFoundError as error:
            raise missing(sha256) from error

    # ---- writing ----

    async def put(self, content: bytes) -> Sha256:
        sha256 = Sha256(hashlib.sha256(content).hexdigest())
        async with _answering():
            self._sound[sha256] = (await obstore.put_async(self._store, sha256, content))["e_tag"]
        return sha256

    async def put_stream(self, sha256: str, chunks: AsyncIterable[bytes]) -> int:
        receipt = Receipt(check_name(sha256), self._limit)

        async def received() -> AsyncIterator[bytes]:
            async for chunk in chunks:
                receipt.expect(len(chunk))
                receipt.add(chunk)
                yield chunk
            receipt.check()

        async with _answering():
            stored = await obstore.put_async(self._store, sha256, received(), chunk_size=_PART, max_concurrency=2)
        self._sound[sha256] = stored["e_tag"]
        return receipt.size

    async def remove(self, sha256: Sha256) -> None:
        async with _answering():
            await obstore.delete_async(self._store, check_name(sha256))
        self._sound.pop(sha256, None)

    async def _tag(self, sha256: str) -> str | None:
        """None when there is no such object."""
        try:
            async with _answering():
                return (await obstore.head_async(self._store, check_name(sha256)))["e_tag"] or ""
        except FileNotFoundError:
            return None


def bucket(settings: ArtifactsSection, folder: str) -> S3Store:
    """`folder` is the part of the bucket that is used. Raises `ConfigError`."""
    name, _, prefix = settings.url.removeprefix(SCHEME).partition("/")
    if not settings.url.startswith(SCHEME) or not name:
        raise ConfigError(f"artifacts.url: {settings.url!r} is no bucket", hint="s3://BUCKET or s3://BUCKET/PREFIX")
    config: S3Config = {"region": settings.region, "virtual_hosted_style_request": not settings.endpoint}
    if settings.endpoint:
        config["endpoint"] = settings.endpoint
    if settings.access_key_file is not None and settings.secret_key_file is not None:
        config["access_key_id"] = secret_of(settings.access_key_file, "artifacts.access_key_file")
        config["secret_access_key"] = secret_of(settings.secret_key_file, "artifacts.secret_key_file")
    return S3Store(
        name,
        prefix="/".join(part for part in (prefix.strip("/"), folder) if part),
        config=config,
        client_options={"allow_http": settings.endpoint.startswith("http://"), "timeout": "60s"},
        retry_config={
            "max_retries": 3,
            "retry_timeout": timedelta(seconds=10),
            "backoff": {
                "init_backoff": timedelta(milliseconds=100),
                "max_backoff": timedelta(seconds=2),
                "base": 2,
            },
        },
    )


@asynccontextmanager
async def _answering() -> AsyncGenerator[None]:
    try:
        yield
    except BaseError as error:  # what is missing is a `FileNotFoundError`
        first = str(error).splitlines()[0]
        raise Unavailable(f"the artifact store does not answer: {first}", hint="see artifacts.url") from error
