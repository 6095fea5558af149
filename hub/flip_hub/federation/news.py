"""What the gateway knows of the SuperLink without asking it: which nodes may have a message, and which runs go on.

The SuperLink's process tells it (`fast_lane`), in order, each writing with its number. While the news come, a node that
was not written to since it was last looked for has nothing: that is exact, whoever wrote, and what is written a moment
later wakes the node's pull. While they do not come, nothing is known, and everybody has to look. After a restart of
either side the first news name every node that was ever written to.
"""

import asyncio
import logging
from collections.abc import Callable, Generator
from contextlib import contextmanager
from http import HTTPStatus
from typing import NoReturn

import msgspec

from flip_hub.federation.fast_lane import NEWS, News, NewsWanted
from flip_hub.federation.mailboxes import Mailboxes
from flip_hub.federation.upstream import Upstream
from flip_runtime.backoff import Backoff
from flip_runtime.errors import Unavailable

log = logging.getLogger(__name__)

_WITHIN = 10.0
"""Seconds; the SuperLink's process answers after 5 when there are none."""
_AGAIN = Backoff(first=0.1, most=1.0)


class SuperlinkNews:
    def __init__(self, upstream: Upstream, mailboxes: Mailboxes, on_restart: Callable[[], None]) -> None:
        """`on_restart` is called when there is another SuperLink, which knows nothing of the one before."""
        self._upstream = upstream
        self._mailboxes = mailboxes
        self._on_restart = on_restart
        self._last = News(boot="", number=0, written=[], running=[])
        self._written: set[str] = set()
        self.known = False
        """Whether the news come."""

    async def follow(self) -> NoReturn:
        """Until it is cancelled."""
        failures = 0
        try:
            while True:
                try:
                    self._take(await self._next())
                    failures = 0
                except Unavailable as error:
                    failures += 1
                    if self.known:
                        log.warning("no news of the SuperLink, devices' pulls go to it", extra={"reason": str(error)})
                    self.known = False
                    await asyncio.sleep(_AGAIN.delay(failures))
        finally:
            self.known = False

    def has_nothing(self, node_id: str) -> bool:
        """Whether it is certain that the SuperLink has no message for that node."""
        return self.known and node_id not in self._written

    def runs(self, run_id: str) -> bool:
        """Whether the SuperLink answers that run's devices; False also while that is not known."""
        return self.known and run_id in self._last.running

    @contextmanager
    def looking(self, node_id: str) -> Generator[Callable[[], None]]:
        """While the SuperLink is asked for that node's message. Unless the block says, by what it is given, that it
        found none, there may be more. What is written meanwhile is news that come later, so nothing is overlooked."""
        self._written.discard(node_id)
        empty = False

        def found_nothing() -> None:
            nonlocal empty
            empty = True

        try:
            yield found_nothing
        finally:
            if not empty:
                self._written.add(node_id)

    async def _next(self) -> News:
        last = self._last
        wanted = NewsWanted(boot=last.boot, after=last.number, running=last.running)
        try:
            async with asyncio.timeout(_WITHIN):
                answer = await self._upstream.ask(NEWS, {}, msgspec.json.encode(wanted))
        except TimeoutError as error:
            raise Unavailable("the SuperLink does not answer") from error
        if answer.status != HTTPStatus.OK:
            raise Unavailable(f"the SuperLink gives no news: HTTP {answer.status}", hint="see superlink.log")
        try:
            return msgspec.json.decode(answer.body, type=News)
        except msgspec.DecodeError as error:
            raise Unavailable(f"the SuperLink's news are not understood: {error}") from error

    def _take(self, news: News) -> None:
        restarted = news.boot != self._last.boot
        if restarted:
            self._written.clear()
            self._on_restart()
        if not self.known:
            log.info("the SuperLink tells its news", extra={"boot": news.boot})
        self._last = news
        self._written.update(news.written)
        self.known = True
        self._mailboxes.wake(news.written)
