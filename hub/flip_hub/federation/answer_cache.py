"""Answers of the SuperLink that are the same for every device: a run, an app, an object. Each is fetched once.

Who asks for one that is being fetched waits for it, however slowly others read it. An answer that was refused, that
says nothing, or that is too old, is fetched again for the next. Bounded in memory and on disk: what was asked for least
recently makes room; while the disk is full nothing is kept. Who may have an answer is for the caller to know.
"""

import asyncio
import logging
import time
from collections import OrderedDict
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from http import HTTPStatus
from pathlib import Path

from flip_hub.federation.stored_answer import StoredAnswer
from flip_hub.federation.upstream import Streamed
from flip_hub.mongo import DatabaseDown
from flip_runtime.errors import FlipError

IN_MEMORY = 8 * 2**20
ON_DISK = 512 * 2**20
"""Bytes."""
_FILES = 512
_ANSWERS = 1024
_DISK_FULL_FOR = 30.0
"""Seconds until it is tried again."""
SAYS_NOTHING = 8
"""Bytes: an object's answer without its content is shorter."""

log = logging.getLogger(__name__)

Fetch = Callable[[], AbstractAsyncContextManager[Streamed]]
Key = tuple[str, ...]


class AnswerCache:
    """Used within a `TaskGroup`, whose tasks fetch."""

    def __init__(self, folder: Path, *, in_memory: int = IN_MEMORY, on_disk: int = ON_DISK) -> None:
        self._folder = folder
        self._in_memory = in_memory
        self._on_disk = on_disk
        self._answers: OrderedDict[Key, tuple[StoredAnswer, float]] = OrderedDict()
        self._disk_full_until = 0.0
        self.hits = 0
        """Calls that were answered by what was there, or on its way."""
        self.misses = 0

    def get(
        self, group: asyncio.TaskGroup, key: Key, fetch: Fetch, good_for: float = float("inf")
    ) -> StoredAnswer | None:
        """One that is there and at most `good_for` seconds old, or one that begins to be fetched now; None: ask the
        SuperLink yourself."""
        now = time.monotonic()
        if now < self._disk_full_until:
            return None
        found = self._answers.get(key)
        if found is not None and now - found[1] < good_for:
            self._answers.move_to_end(key)
            self.hits += 1
            return found[0]
        self.misses += 1
        answer = StoredAnswer(key)
        self._answers[key] = answer, now
        self._answers.move_to_end(key)
        group.create_task(self._fetch(answer, fetch))
        return answer

    def clear(self) -> None:
        self._answers.clear()

    async def _fetch(self, answer: StoredAnswer, fetch: Fetch) -> None:
        try:
            async with fetch() as streamed:
                answer.begin(streamed.status, streamed.headers, self._folder)
                async for chunk in streamed.chunks:
                    answer.append(chunk)
            answer.end()
        except (FlipError, DatabaseDown) as error:
            answer.fail(error)
        except OSError as error:
            log.warning("no room for what devices fetch, each is given it by the SuperLink: %s", error)
            self._disk_full_until = time.monotonic() + _DISK_FULL_FOR
            answer.fail(error)
        except asyncio.CancelledError as error:
            answer.fail(Exception(str(error)))
            raise
        if not answer.whole or answer.status != HTTPStatus.OK or answer.size < SAYS_NOTHING:
            self._forget(answer)
        self._make_room()

    def _make_room(self) -> None:
        whole = [answer for answer, _ in self._answers.values() if answer.whole]
        files = sum(answer.on_disk for answer in whole)
        disk = sum(answer.size for answer in whole if answer.on_disk)
        memory = sum(answer.size for answer in whole if not answer.on_disk)
        small = len(whole) - files
        for answer in whole:
            if answer.on_disk and (disk > self._on_disk or files > _FILES):
                disk, files = disk - answer.size, files - 1
                self._forget(answer)
            elif not answer.on_disk and (memory > self._in_memory or small > _ANSWERS):
                memory, small = memory - answer.size, small - 1
                self._forget(answer)

    def _forget(self, answer: StoredAnswer) -> None:
        held = self._answers.get(answer.key)
        if held is not None and held[0] is answer:
            del self._answers[answer.key]
