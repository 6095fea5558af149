"""`serve` tells `run` what it serves, what it has answered and what it has given up; `run` says which versions come.

Each verdict is told on every connection until `run` has made it durable.
"""

import asyncio
import logging
from collections.abc import Sequence
from pathlib import Path

from flip_agent.inference.engine.served_models import ServedModels
from flip_agent.inference.guard.trial import Trial
from flip_agent.inference.guard.verdicts import Verdict, Verdicts
from flip_agent.inference.metrics.traffic import TrafficCount
from flip_agent.local.client import LocalClient
from flip_agent.local.messages import (
    Activate,
    FromRun,
    Prepare,
    Prepared,
    RollbackKept,
    RolledBack,
    Serving,
    ToRun,
    Tried,
    Try,
)
from flip_runtime.errors import FlipError, Rejected
from flip_wire.telemetry import Priority

log = logging.getLogger(__name__)

_TELL_TRAFFIC_EVERY = 5.0
"""Seconds; `run` forgets how slow requests were after fifteen."""
_TRIALS = 8
"""That wait; `run` asks for one at a time."""


class RunLink:
    """Serving needs no `run`: what the store holds is loaded first, and the link comes back by itself."""

    def __init__(
        self,
        socket: Path,
        instance: str,
        models: ServedModels,
        trial: Trial,
        verdicts: Verdicts,
        traffic: TrafficCount,
        url: str,
    ) -> None:
        self._models = models
        self._trial = trial
        self._verdicts = verdicts
        self._traffic = traffic
        self._url = url
        self._client = LocalClient(socket, "serve", self._on_connect, self._on_message, instance)
        self._told: list[Serving] = []
        self._to_try: asyncio.Queue[Try] = asyncio.Queue(_TRIALS)

    async def run(self) -> None:
        """A service."""
        if not self._models.loaded:
            await self._models.load()
        async with asyncio.TaskGroup() as group:
            group.create_task(self._client.run())
            group.create_task(self._tell_traffic())
            group.create_task(self._tell_alarms())
            group.create_task(self._try_out())

    async def rolled_back(self, verdict: Verdict) -> None:
        """Tells `run`, if it is there."""
        await self._client.send(_rolled_back(verdict))
        await self._tell_serving()

    async def tell_changes(self) -> None:
        """Of what it serves, where `run` has not heard of them."""
        if self._client.connected and self._serving() != self._told:
            await self._tell_serving()

    async def _tell_traffic(self) -> None:
        while True:
            await asyncio.sleep(_TELL_TRAFFIC_EVERY)
            if self._client.connected and (news := self._traffic.news()) is not None:
                await self._client.send(news)

    async def _tell_alarms(self) -> None:
        while True:
            await self._client.emit(Priority.ALERT, "condition", await self._models.alarms.get())

    async def _tell_serving(self) -> None:
        self._told = self._serving()
        for serving in self._told:
            await self._client.send(serving)

    def _on_connect(self) -> Sequence[ToRun]:
        self._traffic.forget()
        self._told = self._serving()
        return [*self._told, *(_rolled_back(verdict) for verdict in self._verdicts.pending)]

    def _serving(self) -> list[Serving]:
        return [
            Serving(
                model=version.manifest.model,
                version=version.manifest.version,
                since=version.since,
                url=self._url,
                local=version.local,
            )
            for version in self._models.active
        ]

    async def _on_message(self, message: FromRun) -> None:
        match message:
            case Prepare():
                await self._client.send(await self._prepare(message))
            case Try():
                if not self._to_try.full():  # else `run` has come and gone many times, and asks again
                    self._to_try.put_nowait(message)
            case Activate():
                await self._activate(message)
            case RollbackKept():
                await self._verdicts.kept(message.manifest)
            case _:
                pass  # meant for the other processes of this device

    async def _prepare(self, asked: Prepare) -> Prepared:
        reason = ""
        try:
            await self._models.prepare(asked.model, asked.version, asked.manifest)
        except FlipError as error:
            reason = str(error)
            log.warning("version refused", extra={"model": asked.model, "version": asked.version, "reason": reason})
        return Prepared(model=asked.model, version=asked.version, reason=reason)

    async def _try_out(self) -> None:
        """Beside the other messages: it takes minutes."""
        while True:
            asked = await self._to_try.get()
            result = await self._trial.run(asked.model, asked.version)
            tried = Tried(model=asked.model, version=asked.version, reason=result.reason, detail=result.detail)
            await self._client.send(tried)

    async def _activate(self, asked: Activate) -> None:
        try:
            await self._models.activate(asked.model, asked.version)
        except Rejected as error:
            await self._client.send(Prepared(model=asked.model, version=asked.version, reason=str(error)))
            return
        await self._tell_serving()


def _rolled_back(verdict: Verdict) -> RolledBack:
    return RolledBack(
        model=verdict.model,
        version=verdict.version,
        manifest=verdict.manifest,
        to_version=verdict.to_version,
        reason=verdict.reason,
        at=verdict.at,
    )
