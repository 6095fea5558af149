"""The part of `flip-agent run` that brings versions, against a fake hub and an inference server that says what a test
has it say."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from agent_rig import Agent
from fake_hub import FakeHub

from flip_agent.hub.client import HubClient
from flip_agent.hub.link import HubLink
from flip_agent.identity import load_identity
from flip_agent.inference_peers import InferencePeers
from flip_agent.instances import DEFAULT
from flip_agent.local.messages import Activate, FromRun, Prepare, Prepared, Serving, Tried, Try
from flip_agent.models.fetch import Fetch
from flip_agent.models.refused_file import RefusedFile
from flip_agent.models.rollback import Rollbacks
from flip_agent.models.rollout import Rollout
from flip_agent.models.signature import Question, check_signature
from flip_agent.models.store import ModelStore
from flip_agent.network.day_account import FILE, DayAccount
from flip_agent.network.day_budget import DayBudget, Limits
from flip_agent.reported import Reported
from flip_agent.watched import Watched
from flip_runtime.backoff import Backoff
from flip_wire.fleet import DesiredState
from flip_wire.models import ModelAssignment, RolledBack
from flip_wire.spans import Spans

QUICKLY = Backoff(first=0.05, most=0.2)


class Serve:
    """The inference server, as far as the rollout sees it; it has whatever it is asked for, unless it `lacks` it."""

    def __init__(self, inference: InferencePeers) -> None:
        self._inference = inference
        self.refuses: set[int] = set()
        self.outdone: set[int] = set()
        """Versions that their trial refuses."""
        self.lacks: set[int] = set()
        """Versions that are not loaded."""
        self.asked: list[FromRun] = []
        self.connect()

    def connect(self) -> None:
        self._inference.attach(DEFAULT, self.hear)

    def leave(self) -> None:
        self._inference.instance(DEFAULT).detach(self.hear)

    def answers(self, version: int) -> None:
        """What it says after it has connected."""
        serving = Serving(model="digits", version=version, since=1.0, url="http://127.0.0.1:8082")
        self._inference.instance(DEFAULT).received(serving)

    async def hear(self, message: FromRun) -> None:
        self.asked.append(message)
        assert isinstance(message, Prepare | Try | Activate)
        model, version = message.model, message.version
        say = self._inference.instance(DEFAULT).received
        match message:
            case Prepare():
                self.lacks.discard(version)
                say(Prepared(model=model, version=version, reason="probe differs by 0.5" * (version in self.refuses)))
            case Try():
                say(Tried(model=model, version=version, reason="agreement 0.4" * (version in self.outdone)))
            case Activate() if version in self.lacks:
                say(Prepared(model=model, version=version, reason="not prepared"))
            case Activate():
                self.answers(version)


class Device:
    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.store = ModelStore(folder)
        self.store.create()
        self.refused = RefusedFile(folder)
        self.desired = Watched(DesiredState(generation=0))
        self.reported = Reported(0)
        self.inference = InferencePeers(self.reported)
        self.rollbacks = Rollbacks(
            *(self.store, self.refused, self.inference, self.reported, self._hear_rollback), QUICKLY
        )
        self.rollbacks.settle()
        self.serve = Serve(self.inference)
        self.link = HubLink()
        self.spans: list[Spans] = []
        self.told: dict[str, RolledBack] = {}
        """Events of rollbacks by their names."""

    async def hear_spans(self, spans: Spans) -> None:
        self.spans.append(spans)

    async def _hear_rollback(self, event: RolledBack, name: str) -> None:
        self.told[name] = event

    def want(self, *models: ModelAssignment) -> None:
        self.desired.set(DesiredState(generation=self.desired.value.generation + 1, models=list(models)))

    def served(self) -> list[int]:
        return [each.version for each in self.reported.state.value.serving]

    def failures(self) -> Sequence[str]:
        return [failure.reason for failure in self.reported.state.value.failures]

    def asked(self, kind: type[Prepare | Try | Activate]) -> list[int]:
        """For which versions."""
        return [message.version for message in self.serve.asked if isinstance(message, kind)]


@asynccontextmanager
async def enrolled(
    folder: Path, hub: FakeHub, *, only_known: bool = False, budget: int = 0, trusted: list[str] | None = None
) -> AsyncGenerator[Device]:
    """`only_known`: as in a reduced mode; `budget` in bytes a day; `trusted` keys in place of the hub's."""
    agent = Agent(folder)
    if load_identity(agent.state) is None:
        await asyncio.to_thread(agent.enrol, hub)
    identity = load_identity(agent.state)
    assert identity is not None
    device = Device(agent.state / "models")
    client = HubClient(identity, agent.state, device.link)

    async def verify(wanted: ModelAssignment) -> None:
        await check_signature(Question(assignment=wanted, learned=identity.model_keys, named=trusted))

    account = DayAccount(agent.state / FILE, lambda: device.link.hub_time)
    counted = DayBudget(account, lambda: Limits(models=budget))
    rollout = Rollout(
        *(device.store, Fetch(device.store, client, counted), device.desired),
        *(device.inference, device.rollbacks, device.reported),
        verify=verify,
        tell=device.hear_spans,
        trial=lambda: 0.0,
        only=device.store.knows if only_known else None,
        backoff=QUICKLY,
    )
    tasks = [asyncio.create_task(rollout.run()), asyncio.create_task(device.rollbacks.run())]
    try:
        async with asyncio.timeout(60):
            yield device
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        client.close()
