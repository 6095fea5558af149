"""A page that lists an API's calls, made here from its OpenAPI document: no script, nothing from elsewhere.

Hub and `flip-agent serve` show it; nothing else imports this, for it needs Litestar.
"""

from html import escape
from typing import Any

import msgspec
from litestar import Request
from litestar.openapi.plugins import OpenAPIRenderPlugin
from msgspec import Struct

_STYLE = """
:root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif }
pre { overflow-x: auto } body { max-width: 64rem; margin: 2rem auto; padding: 0 1rem }
table { border-collapse: collapse; width: 100% } td { padding: .35rem .75rem .35rem 0; vertical-align: top }
tr { border-top: 1px solid #8884 } code { font: .9em ui-monospace, monospace } .method { font-weight: 600 }
"""


class _Operation(Struct, frozen=True):
    summary: str = ""
    description: str = ""


class _Info(Struct, frozen=True):
    title: str
    version: str


class _Document(Struct, frozen=True):
    info: _Info
    paths: dict[str, dict[str, Any]]


class DocsPage(OpenAPIRenderPlugin):
    """At the path of the OpenAPI routes itself."""

    def __init__(self, introduction: str) -> None:
        """HTML, with a link to the document."""
        super().__init__(path="/")
        self._introduction = introduction

    def render(self, request: Request[Any, Any, Any], openapi_schema: dict[str, Any]) -> bytes:
        document = msgspec.convert(openapi_schema, _Document)
        rows = "".join(
            _row(path, method, msgspec.convert(operation, _Operation))
            for path, operations in sorted(document.paths.items())
            for method, operation in operations.items()
            if method in ("get", "post", "put", "patch", "delete")
        )
        title = f"{escape(document.info.title)} {escape(document.info.version)}"
        return (
            f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title><style>{_STYLE}</style>'
            f"<h1>{title}</h1>{self._introduction}<table>{rows}</table></html>"
        ).encode()


def _row(path: str, method: str, operation: _Operation) -> str:
    what = escape(operation.description or operation.summary)
    call = f'<span class="method">{method.upper()}</span> <code>{escape(path)}</code>'
    return f"<tr><td>{call}</td><td>{what}</td></tr>"
