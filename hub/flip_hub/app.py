"""The hub's HTTP application: routes, who may call them, what all calls have in common (`flip_hub.api`), and how every
error is answered."""

import asyncio
import time
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from typing import Any

from litestar import Litestar, Request, Response
from litestar.datastructures import MutableScopeHeaders, State
from litestar.di import Provide
from litestar.middleware import DefineMiddleware
from litestar.openapi import OpenAPIConfig
from litestar.openapi.spec import Components, SecurityScheme
from litestar.types import ControllerRouterHandler, Message, Scope

from flip_hub.api.answer import Answer, PageSchema
from flip_hub.api.cursors import Cursors, wanted_by
from flip_hub.api.describe import DescribedJson
from flip_hub.api.idempotency import IdempotencyKeys
from flip_hub.api.plain_text import check_plain_text
from flip_hub.audit.calls import AuditedCalls
from flip_hub.audit.service import Audit
from flip_hub.auth.guards import CALLER, Access
from flip_hub.cluster.volatile import Memory, Volatile
from flip_hub.devices.leashed import Leashed
from flip_hub.problem import answer_error
from flip_runtime.docs_page import DocsPage
from flip_runtime.errors import Unavailable

MAX_BODY = 2**20
"""Bytes of a request; routes that take files say so themselves."""

_INTRODUCTION = """
<p>The whole description: <a href="/api/docs/openapi.json">openapi.json</a>. Errors are problem details (RFC 9457) with
a hint. Log in with <code>POST /api/v1/auth/login</code>, then send <code>Authorization: Bearer TOKEN</code>.</p>
"""


def create_app(
    routes: Sequence[ControllerRouterHandler],
    services: Mapping[str, object],
    *,
    access: Access,
    prepared: asyncio.Event,
    volatile: Volatile | None = None,
    audit: Audit | None = None,
) -> Litestar:
    """`services` are what handlers name as parameters; calls of the API are answered 503 until `prepared` is set.

    Idempotency keys live in `volatile`, or in this application's memory; calls are noted in `audit`.
    """
    keys = IdempotencyKeys(volatile or Memory(), access.tokens.secret_for(b"idempotency keys"))
    cursors = Cursors(access.tokens.secret_for(b"cursors"))

    async def before(request: Request[Any, Any, Any]) -> Response[bytes] | None:
        if not prepared.is_set() and request.url.path.startswith(("/api/v1/", "/internal/")):
            raise Unavailable("the registry is not reachable", hint="GET /health/ready says what is missing")
        await check_plain_text(request)
        return await keys.begin(request)

    given = {name: _given(service) for name, service in services.items()}
    return Litestar(
        routes,
        dependencies={**CALLER, "wanted": wanted_by(cursors), **given},
        state=State(access.as_state()),
        before_request=before,
        middleware=[*([] if audit is None else [DefineMiddleware(AuditedCalls, audit=audit)]), Leashed()],
        before_send=[_tell_time, keys.keep],
        exception_handlers={Exception: answer_error},
        response_class=Answer,
        plugins=[PageSchema()],
        openapi_config=_openapi(),
        request_max_body_size=MAX_BODY,
        logging_config=None,
    )


def _given(service: object) -> Provide:
    return Provide(lambda: service, sync_to_thread=False, use_cache=True)


async def _tell_time(message: Message, scope: Scope) -> None:
    """On every answer: a device whose clock is wrong can tell by how much."""
    if message["type"] == "http.response.start":
        MutableScopeHeaders.from_message(message)["Flip-Time"] = f"{time.time():.3f}"


def _openapi() -> OpenAPIConfig:
    bearer = SecurityScheme(type="http", scheme="bearer", bearer_format="JWT")
    return OpenAPIConfig(
        title="FLIP hub",
        version=version("flip-edge"),
        path="/api/docs",
        render_plugins=[DocsPage(_INTRODUCTION), DescribedJson()],
        components=Components(security_schemes={"bearer": bearer}),
        security=[{"bearer": []}],
        use_handler_docstrings=True,
    )
