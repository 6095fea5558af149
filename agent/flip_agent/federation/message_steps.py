"""How each step of a message is taken (`steps` says when). Every one may be repeated after a crash in its middle.

Raises `Unavailable` when the step must be tried again, `Rejected` when nobody waits for the reply any more.
"""

import asyncio
import logging
from asyncio import to_thread
from collections.abc import AsyncIterator, Coroutine, Sequence
from itertools import islice
from typing import Any, TypeVar

from flip_agent.federation.app_store import AppStore, missing
from flip_agent.federation.fleet_client import FleetClient
from flip_agent.federation.flower import (
    APP_REFUSED,
    Instruction,
    Item,
    Reply,
    Run,
    error_of,
    error_reply,
    object_ids,
    run_config,
)
from flip_agent.federation.frames import Call, Failed
from flip_agent.federation.run_link import RunLink
from flip_agent.federation.session_store import Message, SessionStore
from flip_agent.federation.steps import Outcome, Step
from flip_agent.federation.worker import Worker
from flip_agent.settings import FederationSection
from flip_runtime.backoff import Backoff
from flip_runtime.errors import Rejected, Unavailable
from flip_wire.telemetry import SessionEvent

log = logging.getLogger(__name__)

T = TypeVar("T")

_AT_ONCE = 4
"""Objects on their way at the same time, each up to 5 MiB."""
_ARRIVING = Backoff(first=0.1, most=2.0)
_ASKS = 60


class MessageSteps:
    def __init__(
        self,
        store: SessionStore,
        fleet: FleetClient,
        apps: AppStore,
        link: RunLink,
        settings: FederationSection,
    ) -> None:
        self._store = store
        self._fleet = fleet
        self._apps = apps
        self._link = link
        self._settings = settings
        self._worker: Worker | None = None
        self._worker_run = ""

    async def take(self, message: Message) -> Outcome:
        match message.step:
            case Step.PULLED:
                return await self._receive(message.instruction)
            case Step.CONFIRMED:
                await self._report(message.instruction, "pulled")
            case Step.TRAINING:
                await self._train(message.instruction)
            case Step.READY:
                await self._announce(message)
            case Step.PUSHING:
                await self._push(message)
            case Step.PUSHED:
                await self._report(message.instruction, "delivered")
            case Step.FORGOTTEN:
                raise AssertionError("a forgotten message is not kept")
        return Outcome.DONE

    async def give_up(self, message: Message, reason: str) -> None:
        log.warning("message given up", extra={"message_id": message.instruction.message_id, "reason": reason})
        await self._report(message.instruction, "failed", reason)

    async def dismiss_worker(self) -> None:
        """The run is over, or the session is."""
        if self._worker is not None:
            await self._worker.stop()
            self._worker = None

    # ---- pulled ----

    async def _receive(self, instruction: Instruction) -> Outcome:
        run = await self._run_of(instruction)
        refusal = await self._prepare_app(instruction, run)
        if refusal:
            await to_thread(self._fleet.confirm, instruction)
            await self._keep_error(instruction, APP_REFUSED, refusal)
            return Outcome.REFUSED
        await self._fetch_objects(instruction)
        await to_thread(self._fleet.confirm, instruction)
        return Outcome.DONE

    async def _run_of(self, instruction: Instruction) -> Run:
        run = await to_thread(self._store.run, instruction.run_id)
        if run is None:
            run = await to_thread(self._fleet.run, instruction)
        await to_thread(self._store.keep_run, run)
        return run

    async def _prepare_app(self, instruction: Instruction, run: Run) -> str:
        """Why the app cannot run here; empty when it can."""
        try:
            held = self._apps.holds(run.fab_hash)
        except Rejected as error:
            return str(error)
        fab = None if held else await to_thread(self._fleet.fab, instruction, run.fab_hash)
        try:
            if fab is not None:
                await to_thread(self._apps.install, run.fab_hash, fab)
                await to_thread(self._apps.keep_only, await to_thread(self._store.apps_in_use))
            app = self._apps.app(run.fab_hash)
            run_config(app.folder, run.overrides)
            lacks = missing(app)
        except Rejected as error:
            return str(error)
        return f"this device lacks what the app needs: {'; '.join(lacks)}" if lacks else ""

    async def _fetch_objects(self, instruction: Instruction) -> None:
        kept = await to_thread(self._store.instruction_objects, instruction.message_id)
        lacking = (key for key in object_ids(instruction.tree) if key not in kept)
        while some := list(islice(lacking, _AT_ONCE)):
            items = await _all_at_once([self._fetch(instruction, key) for key in some])
            await to_thread(self._store.keep_instruction_objects, instruction.message_id, items)

    async def _fetch(self, instruction: Instruction, object_id: str) -> Item:
        """Waits for an object that the ServerApp is still sending to the hub."""
        for failures in range(1, _ASKS + 1):
            item = await to_thread(self._fleet.pull_object, instruction, object_id)
            if item is not None:
                return item
            await asyncio.sleep(_ARRIVING.delay(failures))
        raise Unavailable(f"object {object_id[:12]} does not arrive at the hub")

    # ---- training ----

    async def _train(self, instruction: Instruction) -> None:
        await self._link.tell("training")
        await self._report(instruction, "training")
        await to_thread(self._store.drop_reply_objects, instruction.message_id)
        run = await self._run_of(instruction)
        try:
            worker = await self._worker_for(run)
            config = run_config(worker.app.folder, run.overrides)
        except Rejected as error:
            await self._keep_error(instruction, APP_REFUSED, str(error))
            return
        call = Call(
            message_id=instruction.message_id,
            run_id=instruction.run_id,
            node_id=instruction.node_id,
            node_config=self._settings.node_config,
            run_config=config,
            context=await to_thread(self._store.context, instruction.run_id),
        )
        objects = _ReplyObjects(self._store, instruction.message_id)
        result = await worker.call(call, self._instruction_objects(instruction), objects.keep)
        if isinstance(result, Failed):
            await self._keep_error(instruction, result.code, result.reason)
            return
        await to_thread(
            self._store.make_ready,
            instruction.message_id,
            result.reply,
            objects.waiting,
            context=result.context,
            seconds=result.seconds,
        )

    async def _worker_for(self, run: Run) -> Worker:
        if self._worker is None or self._worker_run != run.run_id:
            await self.dismiss_worker()
            app = self._apps.app(run.fab_hash)
            self._worker, self._worker_run = Worker(app, time_limit=self._settings.app_timeout), run.run_id
        return self._worker

    async def _instruction_objects(self, instruction: Instruction) -> AsyncIterator[Item]:
        for object_id in object_ids(instruction.tree):
            yield await to_thread(self._store.instruction_object, instruction.message_id, object_id)

    async def _keep_error(self, instruction: Instruction, code: int, reason: str) -> None:
        await to_thread(self._store.drop_reply_objects, instruction.message_id)
        reply, objects = error_reply(instruction, code, reason)
        await to_thread(self._store.make_ready, instruction.message_id, reply, list(objects), context=None, seconds=0.0)

    # ---- replying ----

    async def _announce(self, message: Message) -> None:
        error = error_of(_reply_of(message))
        if error is None:
            await self._report(message.instruction, "trained", seconds=message.seconds)
        else:
            step = "refused" if error.code == APP_REFUSED else "failed"
            await self._report(message.instruction, step, error.reason or "")

    async def _push(self, message: Message) -> None:
        await self._link.tell("delivering")
        instruction = message.instruction
        session, wanted = await to_thread(self._fleet.push, instruction, _reply_of(message), message.seconds)

        def send(object_id: str) -> None:
            self._fleet.push_object(instruction, session, self._store.reply_object(instruction.message_id, object_id))

        lacking = iter(wanted)
        while some := list(islice(lacking, _AT_ONCE)):
            await _all_at_once([to_thread(send, key) for key in some])

    async def _report(self, instruction: Instruction, step: str, detail: str = "", seconds: float = 0.0) -> None:
        event = SessionEvent(
            run_id=instruction.run_id, message_id=instruction.message_id, step=step, detail=detail, seconds=seconds
        )
        log.info("session step", extra={"step": step, "run": instruction.run_id, "detail": detail})
        await self._link.report(event)


class _ReplyObjects:
    """Gathers a reply as the worker makes it; what is too large for memory goes to the disk early."""

    _MOST = 16 * 2**20

    def __init__(self, store: SessionStore, message_id: str) -> None:
        self.waiting: list[Item] = []
        self._bytes = 0
        self._store = store
        self._message_id = message_id

    async def keep(self, item: Item) -> None:
        self.waiting.append(item)
        self._bytes += len(item.content)
        if self._bytes > self._MOST:
            await to_thread(self._store.keep_reply_objects, self._message_id, self.waiting)
            self.waiting, self._bytes = [], 0


async def _all_at_once(calls: Sequence[Coroutine[Any, Any, T]]) -> list[T]:
    """Their results in order. Waits for all; raises the first error."""
    results = await asyncio.gather(*calls, return_exceptions=True)
    for result in results:
        if isinstance(result, BaseException):
            raise result
    return [result for result in results if not isinstance(result, BaseException)]


def _reply_of(message: Message) -> Reply:
    assert message.reply is not None, f"{message.step} without a reply"
    return message.reply
