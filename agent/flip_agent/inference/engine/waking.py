"""Models that sleep: who gives their sessions back after a while without calls, and who loads them for the next call.

Calls that come together share one load, and its failure; how many wait, and for how long, is bounded.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Sequence

from flip_agent.inference.engine.served_model import ServedModel, Version
from flip_agent.inference.problems import Expired, NotReady, QueueFull
from flip_agent.memory import give_memory_back, release
from flip_runtime.errors import FlipError
from flip_wire.models import Sha256

log = logging.getLogger(__name__)

_LOAD_WITHIN = 30.0
"""Seconds that a call waits for a model that is asleep."""
_LOOK_AGAIN = 1.0
"""Seconds, at a model that is about to sleep and still has work."""
_QUIET = 3.0
"""Seconds."""


class Waking:
    def __init__(
        self,
        opened: Callable[[str, Sha256], Awaitable[Version]],
        damaged: Callable[[str, FlipError], None],
        max_asking: int,
    ) -> None:
        """`opened` loads a version of the model of that name; `damaged` hears of one that cannot be loaded."""
        self._opened = opened
        self._damaged = damaged
        self._max_asking = max_asking

    async def wake(self, model: ServedModel, asleep: Version) -> None:
        """Returns when it is loaded, or when the version before has taken its place because it cannot be.

        Raises `NotReady`, `QueueFull` or `Expired`.
        """
        if model.asking >= self._max_asking:
            raise QueueFull(f"{model.asking} calls wait for the model to load", hint="see inference.max_queue")
        model.asking += 1
        attempts = model.attempts
        try:
            async with asyncio.timeout(_LOAD_WITHIN), model.loading:
                if model.attempts == attempts:
                    await self._attempt(model, asleep)
        except TimeoutError as error:
            raise Expired(f"model '{model.name}' is not loaded after {_LOAD_WITHIN:g} s") from error
        finally:
            model.asking -= 1
        if model.trouble:
            raise NotReady(f"model '{model.name}' cannot be loaded: {model.trouble}")

    async def _attempt(self, model: ServedModel, asleep: Version) -> None:
        try:
            model.woken(await self._opened(model.name, asleep.sha256))
        except FlipError as error:
            self._damaged(model.name, error)
            model.give_up(asleep.sha256)
            model.trouble = "" if model.find(asleep.sha256) is None else str(error)
        else:
            model.trouble = ""
            log.info("awake", extra={"model": model.name, "version": asleep.manifest.version})
        model.attempts += 1


async def rest(models: Callable[[], Sequence[ServedModel]], keep_alive: float) -> None:
    """A service: models that nobody asks for during `keep_alive` seconds sleep; 0: never."""
    while keep_alive:
        await asyncio.sleep(_next_look(models(), keep_alive))
        unused_since = time.monotonic() - keep_alive
        for model in models():
            if model.awake and model.used <= unused_since and model.batcher.idle and model.prepared is None:
                model.sleep()
                log.info("asleep", extra={"model": model.name})
                await asyncio.to_thread(release)


async def tidy(built: asyncio.Event) -> None:
    """A service: the code that builds sessions is let go once none has been built for a while (`memory`)."""
    while await built.wait():
        while built.is_set():
            built.clear()
            await asyncio.sleep(_QUIET)
        await asyncio.to_thread(give_memory_back)


def _next_look(models: Sequence[ServedModel], keep_alive: float) -> float:
    """Seconds."""
    now = time.monotonic()
    due = min((model.used for model in models if model.awake), default=now) + keep_alive
    return due - now if due > now else _LOOK_AGAIN
