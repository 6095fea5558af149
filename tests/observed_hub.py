"""A second process' worth of hub over the registry of a `CoreHub`: one that accounts for itself."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import httpx
from msgspec.structs import replace

from core_hub import CoreHub
from flip_demo.ports import free_port
from flip_hub.api_server import ApiServer
from flip_hub.app import create_app
from flip_hub.core import ROUTES
from flip_hub.federation.store import RunStore
from flip_hub.health import Health
from flip_hub.observability.build import Observability, build_observability
from flip_hub.observability.routes import MetricsController
from flip_hub.settings import MetricsSection, OtlpSection
from flip_runtime.supervisor import supervise


@dataclass(frozen=True)
class ObservedHub:
    http: httpx.AsyncClient
    observed: Observability


@asynccontextmanager
async def observing(
    hub: CoreHub, otlp: OtlpSection | None = None, metrics: MetricsSection | None = None
) -> AsyncGenerator[ObservedHub]:
    settings = replace(
        hub.settings,
        hub=replace(hub.settings.hub, port=free_port()),
        otlp=otlp or OtlpSection(),
        metrics=metrics or MetricsSection(),
    )
    parts = {"mongo": hub.mongo.missing}
    observed = build_observability(settings, hub.mongo, RunStore(hub.mongo.database), parts)
    services = {**hub.core.services, "health": Health(parts), "exposed": observed.exposed}
    app = create_app([*ROUTES, MetricsController], services, access=hub.core.access, prepared=hub.mongo.prepared)
    serving = [
        asyncio.create_task(ApiServer(app, settings.hub, lambda: None, account=observed.requests).run()),
        asyncio.create_task(supervise([*observed.services, *observed.duties])),
    ]
    try:
        async with httpx.AsyncClient(base_url=settings.hub.public_url, timeout=60.0, trust_env=False) as http:
            await _answering(http)
            yield ObservedHub(http, observed)
    finally:
        for task in serving:
            task.cancel()
        await asyncio.wait(serving)


async def _answering(http: httpx.AsyncClient) -> None:
    async with asyncio.timeout(30):
        while True:
            try:
                await http.get("/health/live")
            except httpx.TransportError:
                await asyncio.sleep(0.05)
            else:
                return
