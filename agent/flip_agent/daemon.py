"""`flip-agent run`: the parts of the daemon and the services they run as; no logic of its own.

Before enrolment it is up and says so. It imports nothing heavy: signing, training and serving are other processes.
"""

import asyncio
import contextlib
import logging
import os
import signal
import socket
from pathlib import Path

from flip_agent.actions.actions import Actions
from flip_agent.actions.follow import LogFollower
from flip_agent.actions.ledger import ActionLedger
from flip_agent.actions.performers import own_log, performers
from flip_agent.children import Children
from flip_agent.desired_state import UNKNOWN, DesiredStatePoll, load_desired
from flip_agent.enrolment import IdentityWatch
from flip_agent.first_outbox import open_outbox
from flip_agent.governor import Governor
from flip_agent.health.device_checks import daemon_checks, machine_checks
from flip_agent.health.hardware import Hardware
from flip_agent.health.health import Health
from flip_agent.health.inspection import Inspection
from flip_agent.hub.client import HubClient
from flip_agent.hub.link import HubLink, sentences
from flip_agent.identity import Identity
from flip_agent.inference_peers import InferencePeers
from flip_agent.instances import Instances
from flip_agent.live_settings import LiveSettings
from flip_agent.local.messages import Status
from flip_agent.local.server import LocalServer
from flip_agent.memory import give_memory_back
from flip_agent.models.fetch import Fetch
from flip_agent.models.refused_file import RefusedFile
from flip_agent.models.rollback import Rollbacks
from flip_agent.models.rollout import Rollout
from flip_agent.models.signature import Question, check_signature
from flip_agent.models.store import ModelStore
from flip_agent.network.build import day_budget, thrift
from flip_agent.outbox.last_chance import delivered
from flip_agent.outbox.outbox import Outbox
from flip_agent.probation import Probation
from flip_agent.progress import Progress, stuck
from flip_agent.receipts import ReceiptFile
from flip_agent.reported import Reported
from flip_agent.restart import begin_anew, others_restart_it
from flip_agent.settings import Settings
from flip_agent.start_counter import Mode, StartCounter
from flip_agent.state_folder import make_state_folder, owned
from flip_agent.units import Units
from flip_agent.uplink import SEND_WITHIN, Uplink
from flip_agent.watched import Watched, first_of, run_until
from flip_runtime.errors import Unavailable
from flip_runtime.supervisor import Service, supervise
from flip_runtime.systemd import Notifier
from flip_wire.actions import ActionResult
from flip_wire.health import Repair
from flip_wire.models import ModelAssignment, RolledBack
from flip_wire.spans import Spans
from flip_wire.telemetry import LogLines, Priority

log = logging.getLogger(__name__)

LAST_CHANCE = 2.0
"""Seconds that the uplink has, after SIGTERM, for what it holds; the children have had five before."""


def run(settings: Settings, config: Path | None) -> None:
    """Until SIGTERM or SIGINT; then everything, children included, is gone within ten seconds."""
    make_state_folder(settings.agent.state)
    with owned(settings.agent.state):
        starts = StartCounter(settings.agent.state)
        with starts.counted():
            give_memory_back()
            asked_anew = asyncio.run(_until_signal(settings, config, starts))
    if asked_anew and not others_restart_it():
        begin_anew()


async def _until_signal(settings: Settings, config: Path | None, starts: StartCounter) -> bool:
    """Whether the agent shall begin anew."""
    stop, loop = asyncio.Event(), asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    repairs: list[Repair] = []
    outbox = await open_outbox(settings, stop, starts.mode.value, repairs, load_desired)
    if outbox is None:
        return False
    try:
        daemon = Daemon(settings, config, outbox, starts, repairs)
        loop.add_signal_handler(signal.SIGHUP, daemon.reload)
        return await daemon.run(stop)
    finally:
        await outbox.close()
        log.info("stopped")


class Daemon:
    def __init__(
        self, settings: Settings, config: Path | None, outbox: Outbox, starts: StartCounter, repairs: list[Repair]
    ) -> None:
        """`repairs`: what was mended before the outbox could be opened."""
        self._settings = settings.agent
        self._outbox = outbox
        self._starts = starts
        self._live = LiveSettings(settings, config)
        self._notifier = Notifier()
        self._life = os.urandom(8).hex()
        self._anew = Watched(False)
        self._sending = Progress("uplink", within=SEND_WITHIN)
        self._enrolment = IdentityWatch(self._settings.state)
        self._desired = Watched(load_desired(self._settings.state))
        self._reported = Reported(self._desired.value.generation)
        instances = Instances(settings.inference)
        self._inference = InferencePeers(self._reported, instances)
        self._link = HubLink()
        models = self._settings.state / "models"
        self._store = ModelStore(models)
        self._budget = day_budget(self._settings.state, self._live, self._link)
        self._thrift = thrift(self._budget, self._live, self._link)
        self._rollbacks = Rollbacks(
            *(self._store, RefusedFile(models), self._inference, self._reported), tell=self._tell_rollback
        )
        hardware = Hardware(self._settings.machine)
        self._governor = Governor(
            *(self._settings.state, hardware, self._live.governor, self._reported),
            p99=lambda: self._inference.p99,
            used_up=lambda: self._thrift.used_up.value,
        )
        self._others = (
            Children(self._settings.state, config, instances.names, self._desired, self._reported)
            if self._settings.supervise
            else Units(
                *(self._settings.state, self._settings.sockets, lambda: self._inference.missing),
                *(self._desired, self._reported),
            )
        )
        self._inspection = Inspection(
            [
                *machine_checks(lambda: self._live.now, hardware, self._desired),
                *daemon_checks(
                    lambda: self._live.now,
                    *(self._link, self._desired, self._reported, self._inference, self._live.refused),
                    self._others.failing,
                    self._thrift.used_up,
                ),
            ],
            outbox,
            may_mend=lambda: starts.mode.value is not Mode.SAFE,
            earlier=repairs,
        )
        self._health = Health(
            *(self._settings.state, self._thrift.pace, hardware, outbox, self._link),
            *(self._desired, self._reported, self._inspection),
            traffic=lambda: self._inference.traffic,
            samples_lost=lambda: self._inference.samples_lost,
            network=lambda: self._budget.told(self._thrift.pace.value),
        )
        self._log_follower = LogFollower(self._settings.state, self._tell_lines, others=own_log)
        self._actions = Actions(
            *(ActionLedger(self._settings.state), self._desired),
            performers(self._settings.state, config, self._rollbacks, self._reported, self._log_follower),
            restart=lambda: self._anew.set(True),
            tell=self._tell_action,
            hub_time=lambda: self._link.hub_time,
        )
        self._local = LocalServer(
            *(self._settings.run_socket, outbox, self._desired, self._reported, self._inference, self._rollbacks),
            budget=self._budget,
            receipts=ReceiptFile(self._settings.state),
            holding=self._governor.because,
            status=self._status,
            mend=self._inspection.mend,
            listening=self._notifier.ready,
        )

    async def run(self, stop: asyncio.Event) -> bool:
        """Returns some seconds after `stop` is set, or an action has asked for a restart; whether it has."""
        self._store.create()
        self._rollbacks.settle()
        await run_until(self._until_drained(stop), supervise(self._services()))
        return self._anew.value

    def reload(self) -> None:
        """Takes a changed configuration over, as far as that is possible at once."""
        self._notifier.reloading()
        self._live.reload()
        self._others.try_again()
        self._notifier.ready()

    def _services(self) -> list[Service]:
        parts = [self._outbox.progress, self._sending]
        return [
            Service("outbox", self._outbox.run),
            Service("local server", self._local.run),
            Service("status", lambda: self._notifier.tell_status(sentences(self._link.state))),
            Service("watchdog", lambda: self._notifier.feed_watchdog(lambda: stuck(parts))),
            Service("enrolment", self._enrolment.run),
            Service("hub", self._follow_identity),
            Service("inspection", self._inspection.run),
            Service("starts", self._starts.run),
            Service("probation", self._prove),
            Service("rollbacks", self._rollbacks.run),
            Service("actions", self._actions.run),
            Service("log follower", self._log_follower.run),
            Service("thrift", self._thrift.run),
        ]

    def _optional_services(self, mode: Mode) -> list[Service]:
        if mode is not Mode.NORMAL:
            return []
        return [
            Service("governor", self._governor.run),
            Service("serve", self._others.run_serve),
            Service("train", self._others.run_train),
        ]

    def _hub_services(self, hub: HubClient, identity: Identity) -> list[Service]:
        return [
            Service("uplink", Uplink(self._outbox, hub, progress=self._sending, thrift=self._thrift).run),
            Service("desired state", DesiredStatePoll(self._settings.state, hub, self._desired, self._thrift).run),
            Service("rollout", lambda: self._roll_out(hub, identity)),
            Service("health", self._health.run),
        ]

    async def _until_drained(self, stop: asyncio.Event) -> None:
        """The children go first, while the uplink still works; then it has a last chance."""
        await run_until(self._asked_to_stop(stop), self._run_optional())
        if self._link.state.value.connected:
            await delivered(self._outbox, within=LAST_CHANCE)

    async def _asked_to_stop(self, stop: asyncio.Event) -> None:
        await first_of(stop.wait(), self._anew.until(bool))
        self._notifier.stopping()

    async def _run_optional(self) -> None:
        while True:
            mode = self._starts.mode.value
            self._reported.mode(mode)
            await run_until(self._starts.mode.other_than(mode), supervise(self._optional_services(mode)))

    async def _roll_out(self, hub: HubClient, identity: Identity) -> None:
        """Whatever the hub wants; after too many failures only a version that this device has had in service."""

        async def verify(wanted: ModelAssignment) -> None:
            named = self._live.now.models.trusted_keys
            await check_signature(Question(assignment=wanted, learned=identity.model_keys, named=named))

        while True:
            mode = self._starts.mode.value
            rollout = Rollout(
                *(self._store, Fetch(self._store, hub, self._budget), self._desired),
                *(self._inference, self._rollbacks, self._reported),
                verify=verify,
                tell=self._tell_spans,
                trial=lambda: self._live.now.models.shadow_within,
                only=None if mode is Mode.NORMAL else self._store.knows,
            )
            await run_until(self._starts.mode.other_than(mode), rollout.run())

    async def _prove(self) -> None:
        if (package := self._settings.package) is not None:
            enrolled = self._enrolment.identity
            await Probation(package, self._settings.sockets, self._starts.settled, self._link, enrolled).run()

    async def _tell_spans(self, spans: Spans) -> None:
        with contextlib.suppress(Unavailable):  # the disk is full of alerts: a measurement is lost, nothing else
            await self._outbox.append(Priority.LOG, "spans", spans)

    async def _tell_rollback(self, event: RolledBack, name: str) -> None:
        await self._outbox.append(Priority.ALERT, "rollback", event, once=name)

    async def _tell_lines(self, lines: LogLines) -> None:
        await self._outbox.append(Priority.LOG, "log", lines)

    async def _tell_action(self, result: ActionResult) -> None:
        await self._outbox.append(Priority.FEDERATION, "action", result, once=f"action {result.id}")

    async def _follow_identity(self) -> None:
        """Joins the hub once there is an identity, and anew when the device was enrolled again."""
        if self._enrolment.identity.value is None:
            log.info("waiting for enrolment", extra={"how": "flip-agent enrol URL --token T"})
        enrolled = self._enrolment.identity
        while True:
            identity = await enrolled.until(lambda identity: identity is not None)
            assert identity is not None
            await run_until(enrolled.other_than(identity), self._join(identity))
            self._desired.set(UNKNOWN)

    async def _join(self, identity: Identity) -> None:
        log.info("enrolled", extra={"device": identity.device_id, "hub": identity.hub_url})
        self._link.joining(identity.hub_url)
        hub = HubClient(identity, self._settings.state, self._link, self._life, self._budget.count)
        try:
            await supervise(self._hub_services(hub, identity))
        finally:
            hub.close()

    async def _status(self) -> Status:
        identity, link = self._enrolment.identity.value, self._link.state.value
        return Status(
            device_id=None if identity is None else identity.device_id,
            name=socket.gethostname() if identity is None else identity.name,
            hub="" if identity is None else identity.hub_url,
            hub_connected=link.connected,
            hub_detail=link.sentence,
            reported=self._reported.state.value,
            health=await self._health.report(),
            repairs=list(self._inspection.repairs),
        )
