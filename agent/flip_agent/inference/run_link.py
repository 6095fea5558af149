"""`serve` tells `run` `Prepared`, `Serving` and `Traffic`, and is told `Prepare` and `Activate`."""

import asyncio
import logging
from collections.abc import Sequence
from pathlib import Path

from flip_agent.inference.served_models import ServedModels
from flip_agent.inference.traffic import TrafficCount
from flip_agent.local.client import LocalClient
from flip_agent.local.messages import Activate, FromRun, Prepare, Prepared, Serving, ToRun, Tried, Try
from flip_runtime.errors import FlipError, Rejected
from flip_wire.telemetry import Priority

log = logging.getLogger(__name__)

_TELL_TRAFFIC_EVERY = 5.0
"""Seconds; `run` forgets how slow requests were after fifteen."""


class RunLink:
    """Serving needs no `run`: what the store holds is loaded first, and the link comes back by itself."""

    def __init__(self, socket: Path, models: ServedModels, url: str, traffic: TrafficCount) -> None:
        self._models = models
        self._url = url
        self._traffic = traffic
        self._client = LocalClient(socket, "serve", self._on_connect, self._on_message)

    async def run(self) -> None:
        if not self._models.loaded:
            await self._models.load()
        async with asyncio.TaskGroup() as group:
            group.create_task(self._client.run())
            group.create_task(self._tell_traffic())
            group.create_task(self._tell_alarms())

    async def _tell_alarms(self) -> None:
        while True:
            await self._client.emit(Priority.ALERT, "condition", await self._models.alarms.get())

    async def _tell_traffic(self) -> None:
        while True:
            await asyncio.sleep(_TELL_TRAFFIC_EVERY)
            if self._client.connected and (news := self._traffic.news()) is not None:
                await self._client.send(news)

    def _on_connect(self) -> Sequence[ToRun]:
        self._traffic.forget()
        return self._serving()

    def _serving(self) -> list[Serving]:
        return [
            Serving(model=version.manifest.model, version=version.manifest.version, since=version.since, url=self._url)
            for version in self._models.active
        ]

    async def _on_message(self, message: FromRun) -> None:
        match message:
            case Prepare():
                await self._client.send(await self._prepare(message))
            case Try():  # nothing is compared yet
                await self._client.send(Tried(model=message.model, version=message.version, reason=""))
            case Activate():
                await self._activate(message)
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

    async def _activate(self, asked: Activate) -> None:
        try:
            await self._models.activate(asked.model, asked.version)
        except Rejected as error:
            await self._client.send(Prepared(model=asked.model, version=asked.version, reason=str(error)))
            return
        for serving in self._serving():
            await self._client.send(serving)
