"""An artifact as the answer to a request: whole, or the part of it that `Range` asks for; its ETag is its hash."""

from typing import Any

from litestar import Request, Response
from litestar.response import Stream

from flip_hub.artifacts.artifacts import Artifacts
from flip_hub.artifacts.ranges import Part, Unsatisfiable, part_of
from flip_hub.problem import NotFound, problem_response
from flip_runtime.errors import Corrupt
from flip_wire.models import Sha256
from flip_wire.problem import Problem

BINARY = "application/octet-stream"


async def download(
    artifacts: Artifacts, sha256: Sha256, request: Request[Any, Any, Any], headers: dict[str, str]
) -> Response[Any]:
    """With these headers, too. Raises `NotFound` for a file that is missing or damaged."""
    try:
        await artifacts.check(sha256)
    except Corrupt as error:
        raise NotFound(error.args[0], hint="restore the hub's artifacts from a backup") from error
    size = await artifacts.size(sha256)
    headers = {**headers, "ETag": f'"{sha256}"', "Accept-Ranges": "bytes"}
    wanted = request.headers.get("range")
    if request.headers.get("if-range", headers["ETag"]) != headers["ETag"]:
        wanted = None  # what the caller holds is part of another file
    try:
        part = part_of(wanted, size)
    except Unsatisfiable:
        problem = Problem(title="Range Not Satisfiable", status=416, detail=f"the file has {size} bytes")
        return problem_response(problem, {"Content-Range": f"bytes */{size}"})
    if part is None:
        part, status = Part(0, size), 200
    else:
        headers["Content-Range"] = f"bytes {part.start}-{part.stop - 1}/{size}"
        status = 206
    headers["Content-Length"] = str(part.stop - part.start)
    content = artifacts.stream(sha256, part.start, part.stop)
    return Stream(content, status_code=status, headers=headers, media_type=BINARY)
