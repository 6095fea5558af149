"""Whether the hub lives, and whether it can do its work: what is missing is asked for each time, never remembered."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping

from litestar import Controller, Response, get
from litestar.di import NamedDependency
from msgspec import Struct

CHECK_WITHIN = 3.0
"""Seconds; a part that does not answer for so long is missing."""

Check = Callable[[], Awaitable[str]]
"""Says what is wrong, or nothing."""


class Alive(Struct, frozen=True):
    status: str = "ok"


class Readiness(Struct, frozen=True, kw_only=True):
    ready: bool
    missing: dict[str, str]
    """For each part that is missing, what is wrong with it."""


class Health:
    """Asks the parts."""

    def __init__(self, checks: Mapping[str, Check]) -> None:
        self._checks = dict(checks)

    @property
    def names(self) -> list[str]:
        """Of the parts."""
        return list(self._checks)

    async def readiness(self) -> Readiness:
        answers = await asyncio.gather(*(self._ask(check) for check in self._checks.values()))
        missing = {name: answer for name, answer in zip(self._checks, answers, strict=True) if answer}
        return Readiness(ready=not missing, missing=missing)

    async def _ask(self, check: Check) -> str:
        try:
            async with asyncio.timeout(CHECK_WITHIN):
                return await check()
        except TimeoutError:
            return f"no answer within {CHECK_WITHIN:g} s"


class HealthController(Controller):
    """For load balancers, service managers and people in a hurry."""

    path = "/health"
    tags = ("health",)

    @get("/live", sync_to_thread=False)
    def read_live(self) -> Alive:
        """The process answers."""
        return Alive()

    @get("/ready")
    async def read_ready(self, health: NamedDependency[Health]) -> Response[Readiness]:
        """503, and what is missing, while the hub cannot do its work."""
        readiness = await health.readiness()
        return Response(readiness, status_code=200 if readiness.ready else 503)
