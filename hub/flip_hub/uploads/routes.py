"""Uploads over HTTP: the tus protocol 1.0 with creation, expiration, checksum and termination, for people.

Any tus client will do: give it this address and `Authorization: Bearer TOKEN`. A finished upload is named by its id
where an app or a version of a model is made from it.
"""

import asyncio
import base64
import binascii
from collections.abc import AsyncGenerator
from contextlib import aclosing
from email.utils import formatdate
from typing import Annotated, Any

from litestar import Controller, Request, Response, delete, get, head, patch, post
from litestar.di import NamedDependency
from litestar.exceptions import InternalServerException
from litestar.params import FromPath, HeaderParameter

from flip_hub.api.describe import REFUSES, TAKES
from flip_hub.api.pages import Page, Wanted
from flip_hub.auth.guards import needs
from flip_hub.auth.permissions import Permission
from flip_hub.auth.schemas import Me
from flip_hub.problem import PreconditionFailed, Refused, UnsupportedMediaType
from flip_hub.uploads.checksum import ALGORITHMS, Checksum
from flip_hub.uploads.schemas import Upload
from flip_hub.uploads.service import Uploads

TUS = "1.0.0"
PART = "application/offset+octet-stream"
LARGEST_PART = 2**40
"""Bytes of one request; the upload's own length ends it sooner."""
SILENCE = 60.0
"""Seconds without a byte after which the part ends with what has come."""
_RESUMABLE = {"Tus-Resumable": TUS}
_ABLE = {
    "Tus-Version": TUS,
    "Tus-Extension": "creation,expiration,checksum,termination",
    "Tus-Checksum-Algorithm": ",".join(ALGORITHMS),
}
"""What the protocol has servers say to OPTIONS; here each answer says it."""
_DIGITS = range(1, 20)
_MAY = [needs(Permission.UPLOADS_MAKE)]

_Version = Annotated[str | None, HeaderParameter(name="Tus-Resumable")]
_Length = Annotated[str, HeaderParameter(name="Upload-Length")]
_Offset = Annotated[str, HeaderParameter(name="Upload-Offset")]
_Metadata = Annotated[str, HeaderParameter(name="Upload-Metadata", max_length=4096)]
_Checksum = Annotated[str | None, HeaderParameter(name="Upload-Checksum", max_length=200)]


class UploadController(Controller):
    path = "/api/v1/uploads"
    tags = ("uploads",)
    response_headers = _ABLE

    @post(guards=_MAY, opt={REFUSES: (412, 413)})
    async def begin_upload(
        self,
        uploads: NamedDependency[Uploads],
        me: NamedDependency[Me],
        length: _Length,
        version: _Version = None,
        metadata: _Metadata = "",
    ) -> Response[Upload]:
        """`Location` says where its bytes go. `Upload-Metadata` may tell `filename`, and the `sha256` it shall have."""
        _check_version(version)
        upload = await uploads.begin(me.username, _number("Upload-Length", length), metadata, _said(metadata))
        headers = {"Location": f"{self.path}/{upload.id}", "Upload-Offset": "0", **_headers(upload)}
        return Response(upload, headers=headers)

    @get(guards=_MAY)
    async def list_uploads(
        self, uploads: NamedDependency[Uploads], me: NamedDependency[Me], wanted: NamedDependency[Wanted]
    ) -> Page[Upload]:
        """One's own, that are on their way or not yet used."""
        return await uploads.page(me.username, wanted)

    @get("/{upload_id:str}", guards=_MAY)
    async def get_upload(
        self, uploads: NamedDependency[Uploads], me: NamedDependency[Me], upload_id: FromPath[str]
    ) -> Upload:
        return await uploads.get(me.username, upload_id)

    @head("/{upload_id:str}", guards=_MAY, status_code=200)
    async def read_offset(
        self, uploads: NamedDependency[Uploads], me: NamedDependency[Me], upload_id: FromPath[str]
    ) -> Response[None]:
        """`Upload-Offset` says where to go on."""
        upload = await uploads.get(me.username, upload_id)
        metadata = uploads.metadata(me.username, upload_id)
        said = {"Upload-Metadata": metadata} if metadata else {}
        length = {"Upload-Length": str(upload.size), "Cache-Control": "no-store"}
        return Response(None, headers={**_headers(upload), **length, **said})

    @patch(
        "/{upload_id:str}",
        guards=_MAY,
        status_code=204,
        request_max_body_size=LARGEST_PART,
        opt={TAKES: PART, REFUSES: (412, 423, 460)},
    )
    async def send_part(
        self,
        uploads: NamedDependency[Uploads],
        me: NamedDependency[Me],
        request: Request[Any, Any, Any],
        upload_id: FromPath[str],
        offset: _Offset,
        version: _Version = None,
        checksum: _Checksum = None,
    ) -> Response[None]:
        """Bytes from `Upload-Offset` on. 409 for another offset than the upload's; 460 for a wrong checksum."""
        _check_version(version)
        if request.headers.get("Content-Type", "") != PART:
            raise UnsupportedMediaType("parts of uploads have a media type of their own", hint=f"Content-Type: {PART}")
        expected = None if checksum is None else Checksum(checksum)
        async with aclosing(_bytes(request)) as chunks:
            upload = await uploads.append(me.username, upload_id, _number("Upload-Offset", offset), chunks, expected)
        return Response(None, headers=_headers(upload))

    @delete("/{upload_id:str}", guards=_MAY)
    async def remove_upload(
        self, uploads: NamedDependency[Uploads], me: NamedDependency[Me], upload_id: FromPath[str]
    ) -> Response[None]:
        await uploads.remove(me.username, upload_id)
        return Response(None, headers=_RESUMABLE)


def _headers(upload: Upload) -> dict[str, str]:
    expires = formatdate(upload.expires_at, usegmt=True)
    return {**_RESUMABLE, "Upload-Offset": str(upload.offset), "Upload-Expires": expires}


def _check_version(version: str | None) -> None:
    if version != TUS:
        raise PreconditionFailed(f"this hub speaks tus {TUS}", hint=f"send Tus-Resumable: {TUS}")


def _number(name: str, text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) in _DIGITS):
        raise Refused(f"{name} is no number of bytes", hint="decimal digits")
    return int(text)


def _said(metadata: str) -> dict[str, str]:
    """Raises `Refused`."""
    said: dict[str, str] = {}
    for pair in filter(None, (part.strip() for part in metadata.split(","))):
        key, _, value = pair.partition(" ")
        try:
            said[key] = base64.b64decode(value, validate=True).decode()
        except (binascii.Error, ValueError) as error:
            raise Refused("Upload-Metadata is not understood", hint="KEY BASE64, with commas between pairs") from error
    return said


async def _bytes(request: Request[Any, Any, Any]) -> AsyncGenerator[bytes]:
    """Raises `Refused` when the sender is gone: what has come is kept."""
    async with aclosing(request.stream()) as chunks:
        while True:
            try:
                async with asyncio.timeout(SILENCE):
                    chunk = await anext(chunks, None)
            except (TimeoutError, InternalServerException) as error:
                raise Refused("the part ended early", hint="HEAD says how far it came; go on from there") from error
            if chunk is None:
                return
            yield chunk
