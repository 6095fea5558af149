"""`GET /metrics` for Prometheus: to people and API tokens that may read the hub, and to who has the scrape token."""

import hmac
from typing import Any

from litestar import Controller, Request, Response, get
from litestar.di import NamedDependency

from flip_hub.auth.guards import needs
from flip_hub.auth.permissions import Permission
from flip_hub.observability.exposed import Exposed
from flip_hub.observability.prometheus import MEDIA_TYPE

_may_read = needs(Permission.HUB_READ)


class MetricsController(Controller):
    path = "/metrics"
    include_in_schema = False

    @get()
    async def read_metrics(self, request: Request[Any, Any, Any], exposed: NamedDependency[Exposed]) -> Response[bytes]:
        """What the hub counts about itself, as text."""
        if not _shows(request, exposed.token):
            await _may_read(request, request.route_handler)
        return Response(await exposed.text(), media_type=MEDIA_TYPE)


def _shows(request: Request[Any, Any, Any], token: str) -> bool:
    shown = request.headers.get("Authorization", "").encode()
    return bool(token) and hmac.compare_digest(shown, f"Bearer {token}".encode())
