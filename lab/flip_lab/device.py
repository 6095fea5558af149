"""A virtual device: the agent's own session store, steps, delivery and settlement, in the lab's process and time.

What is its own is when things happen: its `Fortune` says how long the network and the app take, and when either is cut
off. After a power cut it goes on from the files as they were at that moment.
"""

import asyncio
import contextlib
import shutil
import time
from asyncio import to_thread
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import TypeVar

from flwr.proto.message_pb2 import Message as MessageProto
from msgspec import Struct

from flip_agent.device_key import load_key, read_key
from flip_agent.enrolment import enrol
from flip_agent.federation.app_signature import TrustedKeys
from flip_agent.federation.app_store import AppStore
from flip_agent.federation.contribution_client import ContributionClient
from flip_agent.federation.delivery import Delivery
from flip_agent.federation.flower import Instruction, Reply, error_of, object_ids
from flip_agent.federation.message_steps import MessageSteps
from flip_agent.federation.node_auth import NodeAuth
from flip_agent.federation.run_link import RunLink
from flip_agent.federation.session_store import SessionStore
from flip_agent.federation.settlement import Settlement
from flip_agent.federation.statement_signer import StatementSigner
from flip_agent.federation.steps import SETTLING, Step
from flip_agent.federation.warm_worker import WarmWorker
from flip_agent.identity import Identity
from flip_agent.settings import FederationSection, Value
from flip_lab.fleet_line import FleetLine, PowerCut, size_of
from flip_lab.fortune import Fortune
from flip_lab.keys import keep_key
from flip_lab.timeline import Timeline
from flip_lab.worker_process import Role
from flip_lab.workers import LabWorker, Workers
from flip_runtime.backoff import Backoff
from flip_runtime.errors import Rejected, Unavailable

T = TypeVar("T")

_BACKOFF = Backoff(first=0.2, most=5.0)
_TRIES = 40
_DATABASE = "session.db"
_BROUGHT = frozenset({Step.READY, Step.PUSHING})


class Diary(Struct):
    """What has happened to it."""

    finished: set[str] = set()
    """Instructions that it has a result of."""
    again: set[str] = set()
    """Of those, the ones that it has trained once more."""
    failed: set[str] = set()
    """Instructions that it has given an error for."""
    down: int = 0
    up: int = 0
    """Bytes of arrays."""
    power_cuts: int = 0
    cut_off: int = 0
    """Trainings that a power cut has ended."""
    outages: int = 0
    """That have cut an upload off."""


class VirtualDevice:
    def __init__(
        self,
        number: int,
        fortune: Fortune,
        folder: Path,
        timeline: Timeline,
        workers: Workers,
        node_config: Mapping[str, Value],
    ) -> None:
        self.number = number
        self.fortune = fortune
        self.name = f"lab-{number:04}"
        self.node = ""
        """Flower's number of it, once it has joined."""
        self.diary = Diary()
        self._state = folder / self.name
        self._settings = FederationSection(node_config=dict(node_config))
        self._timeline = timeline
        self._workers = workers
        self._instructions = 0
        self._dying = False

    async def enrol(self, url: str, token: str, seed: int) -> None:
        """With a key that follows from the lab's seed, so that its node does too."""
        self._state.mkdir(parents=True)
        await to_thread(keep_key, self._state, f"{seed}/{self.number}")
        self._identity: Identity = await to_thread(enrol, self._state, url, token, name=self.name)
        keys = TrustedKeys.of(self._identity.app_keys, None)
        self._apps = await to_thread(AppStore, self._state / "apps", keys)
        # its clock is as wrong for the hub's answers as for its own signatures
        auth = NodeAuth(read_key(self._state), lambda: time.time() + self.fortune.ahead)
        self._fleet = FleetLine(self._identity.fleet_address, auth, self._identity.ca)
        self._contributions = ContributionClient(self._identity.fleet_address, auth, self._identity.ca)
        await self._switch_on()
        self.node = await self._patiently(lambda: to_thread(self._fleet.join))
        await self._patiently(self.renew)
        await to_thread(self._store.keep_node, self.node)

    async def renew(self) -> None:
        await to_thread(self._fleet.renew, self.node)

    async def live(self) -> None:
        """Until it is cancelled."""
        while True:
            await self._timeline.work(self.number)
            if await self._fetch():
                await self._train()
                await self._send()

    async def settled(self) -> None:
        """Returns when it knows what became of all that it has sent."""
        self._settlement.pushed()
        await self._settlement.open.until(lambda still: not still)

    async def switch_off(self) -> None:
        self._settling.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._settling
        await to_thread(self._store.__exit__, None, None, None)

    def hang_up(self) -> None:
        self._fleet.close()
        self._contributions.close()

    # ---- a message ----

    async def _fetch(self) -> bool:
        """Whether there was one."""
        await self._until(self.fortune.sends(self._timeline.now, self.fortune.latency))
        instruction = await self._patiently(self._pulled)
        if instruction is None:
            return False
        self._instructions += 1
        self._instruction = instruction
        self.diary.down += self._fleet.came
        arrives = self.fortune.sends(self._timeline.now, self._fleet.came / self.fortune.down)
        while (cut := self.fortune.power.next(self._timeline.now)) is not None and cut.begin < arrives:
            await self._until(cut.begin)
            await self._lose_power()
            await self._until(cut.end)
        await self._until(arrives)
        return True

    async def _pulled(self) -> Instruction | None:
        """None when the run is over. Raises `Unavailable` when the hub does not give the message yet that it is known
        to have: a device that went back to sleep instead would never hear of it."""
        if self._timeline.over:
            return None
        instruction = await to_thread(self._fleet.pull, self.node)
        if instruction is not None:
            await to_thread(self._store.accept, instruction)
            await self._patiently(lambda: self._carry(lambda step: step is not Step.PULLED))
            if not self._timeline.over and not await to_thread(self._store.holds, instruction.message_id):
                raise Rejected(f"the hub has taken back what it had sent {self.name}, and the run goes on")
        elif not self._timeline.over:
            raise Unavailable(f"the hub does not give {self.name} the message that was written to it")
        return instruction

    async def _train(self) -> None:
        phase = MessageProto.FromString(self._instruction.message).metadata.message_type.split(".")[0]
        seconds = self.fortune.seconds(phase, self._instructions)
        while (cut := self.fortune.power.next(self._timeline.now)) is not None:
            if cut.begin >= self._timeline.now + seconds:
                break
            await self._until(cut.begin)
            if not await self._lose_power_in_training():
                break
            await self._until(cut.end)
        working = asyncio.create_task(self._carry(lambda step: step in _BROUGHT))
        try:
            await self._until(self._timeline.now + seconds)
            await working
        finally:
            working.cancel()

    async def _send(self) -> None:
        message = await to_thread(self._store.next)
        if message is None or message.reply is None:
            return  # there was nothing to do for it
        message_id, failed = message.instruction.message_id, error_of(message.reply) is not None
        self._note(message_id, failed=failed)
        size = await to_thread(self._size, message_id, message.reply)
        begin, seconds = self._timeline.now, self.fortune.latency + size / self.fortune.up
        ends = self.fortune.sends(begin, seconds)
        gap = self.fortune.network.next(begin)
        if gap is not None and begin < gap.begin < ends:
            await self._until(gap.begin)
            await self._lose_the_link()
        await self._until(ends)
        await self._patiently(lambda: self._carry(lambda _: False))
        self.diary.up += size
        self._timeline.delivered()

    def _note(self, message_id: str, *, failed: bool) -> None:
        if failed:
            self.diary.failed.add(message_id)
            return
        if message_id in self.diary.finished:
            self.diary.again.add(message_id)
        self.diary.finished.add(message_id)

    async def _carry(self, far_enough: Callable[[Step], bool]) -> None:
        while (message := await to_thread(self._store.next)) is not None and not far_enough(message.step):
            if await self._steps.carry_on(message, self.node) in SETTLING:
                self._settlement.pushed()

    def _size(self, message_id: str, reply: Reply) -> int:
        return size_of([self._store.objects.in_reply(message_id, each) for each in object_ids(reply.tree)])

    # ---- what happens to it ----

    async def _lose_power_in_training(self) -> bool:
        """False when the agent has given the message up instead."""
        self._dying = True
        try:
            await self._carry(lambda step: step in _BROUGHT)
        except PowerCut:
            self.diary.cut_off += 1
            await self._lose_power()
            return True
        finally:
            self._dying = False
        return False

    async def _lose_the_link(self) -> None:
        """In the middle of an upload."""
        without_power = self.fortune.power.at(self._timeline.now) is not None
        self._fleet.fail(PowerCut() if without_power else Unavailable("no network, in the lab"))
        try:
            with contextlib.suppress(PowerCut, Unavailable):
                await self._carry(lambda _: False)
        finally:
            self._fleet.mend()
        if without_power:
            await self._lose_power()
        else:
            self.diary.outages += 1

    async def _lose_power(self) -> None:
        """It finds its files as they are now, without what closing them would do."""
        self.diary.power_cuts += 1
        kept = self._state / "kept"
        kept.mkdir()
        for path in self._state.glob(f"{_DATABASE}*"):
            await to_thread(shutil.copyfile, path, kept / path.name)
        await self.switch_off()
        for path in self._state.glob(f"{_DATABASE}*"):
            path.unlink()
        for path in kept.iterdir():
            path.rename(self._state / path.name)
        kept.rmdir()
        await self._switch_on()

    async def _switch_on(self) -> None:
        self._store = await to_thread(SessionStore, self._state / _DATABASE)
        link = RunLink(self._state / "no-agent", self._store)
        delivery = Delivery(self._store, self._fleet, self._contributions)
        signer = StatementSigner(load_key(self._state), self._identity.device_id)
        worker = WarmWorker(self._apps, lambda app: LabWorker(app, self._workers, self._role))
        self._steps = MessageSteps(self._store, self._fleet, self._apps, delivery, link, self._settings, worker, signer)
        self._settlement = Settlement(self._store, delivery, link)
        self._settling = asyncio.create_task(self._settlement.run())

    def _role(self) -> Role:
        if self._dying:
            raise PowerCut
        return Role(seed=self.fortune.seed(self._instructions), lies=self.fortune.lies)

    async def _until(self, moment: float) -> None:
        await self._timeline.until(moment, self.number)

    async def _patiently(self, call: Callable[[], Awaitable[T]]) -> T:
        """A busy hub is asked again; real time passes, the lab's does not."""
        for failures in range(1, _TRIES):
            try:
                return await call()
            except Unavailable as error:
                await asyncio.sleep((error.retry_after or 0.0) + _BACKOFF.delay(failures))
        return await call()
