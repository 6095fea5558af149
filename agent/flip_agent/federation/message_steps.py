"""How each step of a message is taken (`steps` says when). Every one may be repeated after a crash in its middle.

One that must be tried again raises `Unavailable`, one whose reply nobody waits for any more `Rejected`.
"""

import asyncio
import logging
from asyncio import to_thread
from collections.abc import AsyncIterator, Callable
from functools import partial
from itertools import islice

from flip_agent.federation.app_store import AppStore, missing
from flip_agent.federation.at_once import AT_ONCE, all_at_once
from flip_agent.federation.delivery import Delivery
from flip_agent.federation.finished_replies import FinishedReplies
from flip_agent.federation.fleet_client import FleetClient
from flip_agent.federation.flower import (
    APP_CRASHED,
    APP_REFUSED,
    Instruction,
    Item,
    Run,
    error_reply,
    object_ids,
    run_config,
)
from flip_agent.federation.frames import Answered, Call, Failed, Sign
from flip_agent.federation.instruction_terms import terms_of
from flip_agent.federation.own_parts_keeper import OwnPartsKeeper
from flip_agent.federation.reply_objects import REPLY, ReplyObjects
from flip_agent.federation.room import when_there_is_room
from flip_agent.federation.run_link import RunLink
from flip_agent.federation.session_store import Message, SessionStore
from flip_agent.federation.statement_signer import StatementSigner
from flip_agent.federation.step_events import event_of, event_of_reply
from flip_agent.federation.steps import NEXT, ONLINE, Outcome, Step
from flip_agent.federation.warm_worker import AppWorker, WarmWorker
from flip_agent.settings import FederationSection
from flip_runtime.backoff import Backoff
from flip_runtime.errors import Corrupt, Rejected, Unavailable
from flip_wire.statements import Signed
from flip_wire.telemetry import SessionEvent
from flip_wire.terms import Terms

log = logging.getLogger(__name__)

_ARRIVING = Backoff(first=0.1, most=2.0)
_ASKS = 60


class MessageSteps:
    def __init__(
        self,
        store: SessionStore,
        fleet: FleetClient,
        apps: AppStore,
        delivery: Delivery,
        link: RunLink,
        settings: FederationSection,
        worker: WarmWorker,
        signer: StatementSigner,
        parts: OwnPartsKeeper | None = None,
    ) -> None:
        """`parts`: leaves for `serve` what stays on this device; None where nobody serves."""
        self._store = store
        self._fleet = fleet
        self._apps = apps
        self._delivery = delivery
        self._link = link
        self._settings = settings
        self._worker = worker
        self._signer = signer
        self._parts = parts
        self._finished = FinishedReplies(store, fleet)

    async def carry_on(self, message: Message, node: str) -> Step:
        """Takes the message's step as that node, and writes down the next one, which is given. Raises `Unavailable`
        when the step must be tried again."""
        event: SessionEvent | None = None
        try:
            if message.step in ONLINE and message.instruction.node_id != node:
                raise Rejected("the SuperLink was restarted: the run is lost")
            outcome, event = await self._take(message)
        except Rejected as error:
            log.warning("message refused", extra={"step": message.step, "reason": str(error)})
            outcome = Outcome.GONE
            if NEXT[message.step, outcome] is Step.FORGOTTEN:
                event = event_of(message.instruction, "failed", str(error))
        following = NEXT[message.step, outcome]
        if following is not Step.READY:  # which was written together with the reply
            await to_thread(self._store.advance, message.instruction.message_id, following, event)
        return following

    async def _take(self, message: Message) -> tuple[Outcome, SessionEvent | None]:
        """What came of its step, and what is told of that."""
        instruction = message.instruction
        match message.step:
            case Step.PULLED:
                outcome = await self._receive(instruction)
                return outcome, event_of(instruction, "pulled") if outcome is Outcome.DONE else None
            case Step.CONFIRMED:
                await self._may_train()
                return Outcome.DONE, event_of(instruction, "training")
            case Step.TRAINING:
                await self._train(instruction)
            case Step.READY:
                pass
            case Step.PUSHING:
                await self._push(message)
            case _:
                raise AssertionError(f"{message.step} is not the session's")
        return Outcome.DONE, None

    # ---- pulled ----

    async def _receive(self, instruction: Instruction) -> Outcome:
        run = await self._run_of(instruction)
        if await self._finished.answer(instruction):
            return Outcome.ANSWERED
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
        kept = await to_thread(self._store.objects.of_instruction, instruction.message_id)
        lacking = (key for key in object_ids(instruction.tree) if key not in kept)
        while some := list(islice(lacking, AT_ONCE)):
            items = await all_at_once([self._fetch(instruction, key) for key in some])
            await to_thread(self._store.objects.keep_of_instruction, instruction.message_id, items)

    async def _fetch(self, instruction: Instruction, object_id: str) -> Item:
        """Waits for an object that the ServerApp is still sending to the hub."""
        for failures in range(1, _ASKS + 1):
            item = await to_thread(self._fleet.pull_object, instruction, object_id)
            if item is not None:
                return item
            await asyncio.sleep(_ARRIVING.delay(failures))
        raise Unavailable(f"object {object_id[:12]} does not arrive at the hub")

    # ---- training ----

    async def _may_train(self) -> None:
        if self._link.hold.value:
            await self._link.tell("held")
            log.info("training is held", extra={"because": self._link.hold.value})
        await self._link.hold.until(lambda because: not because)

    async def _train(self, instruction: Instruction) -> None:
        await self._may_train()
        attempt = await to_thread(self._store.begin_attempt, instruction.message_id)
        if attempt > self._settings.attempts:
            reason = f"training it was cut off {attempt - 1} times, and each time `flip-agent train` with it"
            await self._keep_error(instruction, APP_CRASHED, reason)
            return
        await self._link.tell("training")
        await to_thread(self._store.objects.drop_of_reply, instruction.message_id)
        objects = ReplyObjects(self._store, instruction.message_id)
        try:
            result = await self._result(instruction, objects)
        except Rejected as error:
            await self._keep_error(instruction, APP_REFUSED, str(error))
        except Corrupt as error:
            await self._keep_error(instruction, APP_CRASHED, str(error))
        else:
            await self._keep_result(instruction, result, objects)

    async def _result(self, instruction: Instruction, objects: ReplyObjects) -> Answered | Failed:
        run = await self._run_of(instruction)
        terms = await to_thread(terms_of, instruction.tree, self._reader(instruction))
        if terms is not None:
            await to_thread(self._store.lasts, instruction.run_id, terms.run_id)
        worker = await self._worker.of(run)
        call = Call(
            message_id=instruction.message_id,
            run_id=instruction.run_id,
            node_id=instruction.node_id,
            node_config=self._settings.node_config,
            run_config=run_config(worker.app.folder, run.overrides),
            context=await to_thread(self._store.context, instruction.run_id),
            terms=terms,
            signs=terms is not None,
            secure_least=self._settings.secure_least,
        )
        holding = asyncio.create_task(self._hold(worker))
        try:  # no TaskGroup: what `call` raises is handled above by its kind
            result = await worker.call(
                call, self._instruction_objects(instruction), objects.keep, partial(self._sign, instruction, terms)
            )
        finally:
            holding.cancel()
            await asyncio.wait([holding])
        if self._parts is not None and terms is not None and isinstance(result, Answered):
            await when_there_is_room("parts that stay here", partial(self._parts.keep, terms, result.context))
        return result

    async def _sign(self, instruction: Instruction, terms: Terms | None, said: Sign) -> Signed:
        assert terms is not None
        signed = await to_thread(self._signer.sign, instruction, terms, said)
        message_id, statement = instruction.message_id, signed.statement
        await when_there_is_room("a statement", lambda: self._store.receipts.signed(message_id, statement))
        return signed

    def _reader(self, instruction: Instruction) -> Callable[[str], bytes]:
        return lambda key: self._store.objects.in_instruction(instruction.message_id, key).content

    async def _hold(self, worker: AppWorker) -> None:
        """Pauses the worker whenever training must wait."""
        async for because in self._link.hold.values():
            if because:
                log.info("training is held", extra={"because": because})
                worker.pause()
                await self._link.tell("held")
            elif worker.resume():
                await self._link.tell("training")

    async def _keep_result(self, instruction: Instruction, result: Answered | Failed, objects: ReplyObjects) -> None:
        if isinstance(result, Failed):
            await self._keep_error(instruction, result.code, result.reason)
            return
        event = event_of_reply(instruction, result.reply, result.seconds)
        await when_there_is_room(
            REPLY,
            lambda: self._store.make_ready(
                instruction.message_id,
                result.reply,
                objects.waiting,
                context=result.context,
                seconds=result.seconds,
                held=self._worker.held,
                event=event,
            ),
        )

    async def _instruction_objects(self, instruction: Instruction) -> AsyncIterator[Item]:
        for object_id in object_ids(instruction.tree):
            yield await to_thread(self._store.objects.in_instruction, instruction.message_id, object_id)

    async def _keep_error(self, instruction: Instruction, code: int, reason: str) -> None:
        reply, objects = error_reply(instruction, code, reason)
        event = event_of_reply(instruction, reply, 0.0)
        items = list(objects)

        def keep() -> None:
            self._store.objects.drop_of_reply(instruction.message_id)
            self._store.make_ready(instruction.message_id, reply, items, context=None, seconds=0.0, event=event)

        await when_there_is_room(REPLY, keep)

    # ---- replying ----

    async def _push(self, message: Message) -> None:
        await self._link.tell("delivering")
        try:
            if message.reply is None:
                raise Corrupt("the reply was damaged on this device's disk")
            await self._delivery.push(message, message.reply)
        except Corrupt as error:
            await self._keep_error(message.instruction, APP_CRASHED, str(error))
            raise Unavailable(str(error), hint="an error reply takes its place") from error
