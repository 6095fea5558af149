"""Runs named services side by side and restarts the ones that fail; only `Fatal` and `ConfigError` end them all."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

from flip_runtime.backoff import Backoff
from flip_runtime.cancellation import in_own_task
from flip_runtime.errors import ConfigError, Fatal

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Service:
    """A coroutine function that runs until it is cancelled; returning means that its work is done."""

    name: str
    run: Callable[[], Awaitable[None]]
    backoff: Backoff = field(default=Backoff(first=0.5, most=60.0))
    settled_after: float = 60.0
    """Seconds of running after which earlier failures are forgotten."""


async def supervise(services: Sequence[Service]) -> None:
    """Runs until every service returned, or until one raises `Fatal` or `ConfigError`, which is re-raised."""
    try:
        async with asyncio.TaskGroup() as group:
            for service in services:
                group.create_task(_keep_running(service), name=service.name)
    except* (Fatal, ConfigError) as errors:
        raise errors.exceptions[0] from None


async def _keep_running(service: Service) -> None:
    loop = asyncio.get_running_loop()
    failures = 0
    while True:
        started = loop.time()
        try:
            await in_own_task(service.run)
            return
        except (Fatal, ConfigError):
            raise
        except Exception as error:  # the one place: whatever a service raises is its failure, not everybody's
            failures = 1 if loop.time() - started > service.settled_after else failures + 1
            delay = service.backoff.delay(failures)
            log.exception(
                "service failed",
                extra={"service": service.name, "error": str(error), "failures": failures, "restart_in": delay},
            )
            await asyncio.sleep(delay)
