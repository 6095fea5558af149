"""The repository and the install script over HTTP. Everybody may have them: they are signed, and hold no secret."""

from collections.abc import AsyncIterator
from email.utils import formatdate
from pathlib import Path
from typing import Any

from anyio import open_file
from litestar import Controller, HttpMethod, MediaType, Request, Response, get, route
from litestar.di import NamedDependency
from litestar.params import FromPath
from litestar.response import Stream

from flip_hub.artifacts.ranges import Part, Unsatisfiable, part_of
from flip_hub.packages.install import InstallScript
from flip_hub.packages.repository import Repository
from flip_hub.problem import NotFound, problem_response
from flip_wire.problem import Problem

_CHUNK = 2**18
_HINT = "updates.repository in hub.toml names a repository; packaging/repo makes one"


class PackageController(Controller):
    include_in_schema = False

    @get("/install.sh", media_type=MediaType.TEXT)
    async def install_script(self, install: NamedDependency[InstallScript]) -> str:
        """Raises `NotFound` where there is nothing to install from."""
        if not install.text:
            raise NotFound("this hub has no packages to install from", hint=_HINT)
        return install.text

    @route("/apt/{path:path}", http_method=[HttpMethod.GET, HttpMethod.HEAD])
    async def package_file(
        self, request: Request[Any, Any, Any], repository: NamedDependency[Repository], path: FromPath[str]
    ) -> Response[Any]:
        """Raises `NotFound`."""
        found = repository.find(path)
        if found is None:
            raise NotFound(f"no file {path[:120]} in the repository")
        return _file(found, request)


def _file(path: Path, request: Request[Any, Any, Any]) -> Response[Any]:
    """With what apt asks for: parts, to go on with a download, and nothing where nothing has changed."""
    status = path.stat()
    changed = formatdate(status.st_mtime, usegmt=True)
    headers = {"Last-Modified": changed, "Accept-Ranges": "bytes", "Cache-Control": "no-cache"}
    if request.headers.get("if-modified-since") == changed:
        return Response(b"", status_code=304, headers=headers)
    wanted = request.headers.get("range")
    if request.headers.get("if-range", changed) != changed:
        wanted = None  # what the caller holds is part of another file
    try:
        part = part_of(wanted, status.st_size)
    except Unsatisfiable:
        problem = Problem(title="Range Not Satisfiable", status=416, detail=f"the file has {status.st_size} bytes")
        return problem_response(problem, {"Content-Range": f"bytes */{status.st_size}"})
    code = 200 if part is None else 206
    if part is None:
        part = Part(0, status.st_size)
    else:
        headers["Content-Range"] = f"bytes {part.start}-{part.stop - 1}/{status.st_size}"
    headers["Content-Length"] = str(part.stop - part.start)
    if request.method == "HEAD":
        return Response(b"", status_code=code, headers=headers, media_type="application/octet-stream")
    return Stream(_content(path, part), status_code=code, headers=headers, media_type="application/octet-stream")


async def _content(path: Path, part: Part) -> AsyncIterator[bytes]:
    left = part.stop - part.start
    async with await open_file(path, "rb") as file:
        await file.seek(part.start)
        while left and (chunk := await file.read(min(_CHUNK, left))):
            left -= len(chunk)
            yield chunk
