"""The console over HTTP: every path that belongs to nobody else."""

from typing import Any

from litestar import HttpMethod, MediaType, Request, Response, route
from litestar.di import NamedDependency
from litestar.params import FromPath

from flip_hub.console.site import Page, Site
from flip_hub.problem import NotFound

OTHERS = ("api", "apt", "health", "internal")
"""First parts of paths that are not the console's."""

_POLICY = "; ".join(
    [
        "default-src 'self'",
        "style-src 'self' 'unsafe-inline'",  # charts set sizes on their elements
        "img-src 'self' data:",
        "connect-src 'self' ws: wss:",
        "frame-ancestors 'none'",
        "base-uri 'none'",
    ]
)
_NOT_BUILT = b"""<!doctype html><meta charset="utf-8"><title>FLIP hub</title>
<h1>The hub is running</h1><p>The console is not built. <code>scripts/setup</code> builds it.
The API is described at <a href="/api/docs">/api/docs</a>.</p>"""


@route(["/", "/{path:path}"], http_method=[HttpMethod.GET, HttpMethod.HEAD], include_in_schema=False)
async def serve_console(
    request: Request[Any, Any, Any], console: NamedDependency[Site], path: FromPath[str] = "/"
) -> Response[bytes]:
    """Raises `NotFound` for a file that does not exist, and for unknown paths of the API."""
    if path.strip("/").split("/", 1)[0] in OTHERS:
        raise NotFound(f"no call {request.method} {path[:120]}", hint="GET /api/docs lists the calls")
    page = console.find(path)
    if page is not None:
        return _answer(page, request)
    if not console.built:
        return Response(_NOT_BUILT, media_type=MediaType.HTML)
    raise NotFound(f"no file {path[:120]}")


def _answer(page: Page, request: Request[Any, Any, Any]) -> Response[bytes]:
    headers = {
        "ETag": page.etag,
        "Cache-Control": page.cache,
        "Vary": "Accept-Encoding",
        "X-Content-Type-Options": "nosniff",
        "Content-Security-Policy": _POLICY,
        "Referrer-Policy": "same-origin",
    }
    if page.etag in request.headers.get("If-None-Match", ""):
        return Response(b"", status_code=304, headers=headers, media_type=page.media_type)
    content = page.content
    if page.gzipped is not None and "gzip" in request.headers.get("Accept-Encoding", ""):
        content, headers["Content-Encoding"] = page.gzipped, "gzip"
    return Response(content, headers=headers, media_type=page.media_type)
